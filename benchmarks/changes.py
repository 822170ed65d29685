"""Milliseconds from a saved file to a response that shows the change, over a connection that stays open."""

from __future__ import annotations

import http.client
import shutil
import ssl
import tempfile
import time
from pathlib import Path

from benchmarks.running import EXAMPLE, Figures, edge, percentile, spread
from benchmarks.start import HOST

_CHANGES = 30


def run() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        manifests = Path(folder) / "manifests"
        shutil.copytree(EXAMPLE, manifests)
        file = manifests / "50-routes.yaml"
        text = file.read_text()
        with edge(path=manifests) as running:
            status = running.wait_until_ready()
            client = client_of(status)
            samples = []
            for number in range(_CHANGES):
                code = 400 + number % 50
                file.write_text(_answering(text, code))
                saved = time.monotonic()
                while _status(client) != code:
                    pass
                samples.append((time.monotonic() - saved) * 1000)
                time.sleep(0.3)
    return {
        "saved file to served change": spread(samples, "ms", 0),
        "  95th percentile": f"{percentile(samples, 0.95):.0f} ms",
    }


def _answering(text: str, code: int) -> str:
    """The frontend's route answers directly with a status code, so that each change shows at once."""
    route = (
        "    - route:\n        - destination:\n            host: web\n            port:\n              number: 3000\n"
    )
    assert route in text
    return text.replace(route, f"    - directResponse:\n        status: {code}\n")


def client_of(status: dict[str, object]) -> http.client.HTTPSConnection:
    (balancer,) = status["hops"][1]["load_balancers"]  # type: ignore[index]
    port = next(each["local_port"] for each in balancer["listeners"] if each["port"] == 443)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # by address: what is timed is the change, not who answers
    return http.client.HTTPSConnection(balancer["address"], port, context=context, timeout=20)


def _status(client: http.client.HTTPSConnection) -> int:
    client.request("GET", "/", headers={"Host": HOST})
    answer = client.getresponse()
    answer.read()
    return answer.status
