"""How long the Kubernetes API takes to answer while an edge loads, changes and removes thousands of objects.

A client asks for the API's version all the time. Its longest wait is the longest time for which the supervisor's event
loop did nothing else: everything that the edge serves from there waits as long.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.kubernetes import KubernetesClient
from benchmarks.running import EXAMPLE, Figures, Running, edge, percentile

_FILES = 5_000
_OBJECTS = 2  # VirtualServices of a file
_PATIENCE = 600.0
_REST = 3.0  # s after a phase, in which the actors finish what it caused


def run(files: int = _FILES) -> Figures:
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        manifests = Path(folder) / "manifests"
        shutil.copytree(EXAMPLE, manifests)
        many = Path(folder) / "many"
        for number in range(files):
            file = many / f"team-{number // 100:02}" / f"app-{number:05}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("---\n".join(_virtual_service(f"{number:05}-{each}") for each in range(_OBJECTS)))
        with edge(path=manifests) as running, KubernetesClient(running, "shop") as client:
            running.wait_until_ready()
            first, last = "load-00000-0", f"load-{files - 1:05}-{_OBJECTS - 1}"

            def phase(what: str, begin: Callable[[], object], *, until: Callable[[], bool]) -> None:
                with latencies(running) as waits:
                    began = time.monotonic()
                    begin()
                    while not until():
                        _still_there(running, began)
                        time.sleep(0.5)
                    took = time.monotonic() - began
                    time.sleep(_REST)
                longest, most = max(waits) * 1000, percentile(waits, 0.99) * 1000
                figures[what] = f"{took:.1f} s, longest wait {longest:.0f} ms  (p99 {most:.0f}, n={len(waits)})"

            counted = f"{files} files with {files * _OBJECTS} VirtualServices"
            inside = manifests / "many"
            phase("at rest", lambda: None, until=lambda: True)
            phase(
                f"{counted} moved in",
                lambda: many.rename(inside),
                until=lambda: client.get("VirtualService", last) is not None,
            )
            edited = inside / "team-00" / "app-00000.yaml"
            phase(
                "  one of them changed",
                lambda: edited.write_text(edited.read_text().replace("200", "201")),
                until=lambda: "201" in str(client.get("VirtualService", first)),
            )
            phase(
                "  all moved out",
                lambda: inside.rename(many),
                until=lambda: client.get("VirtualService", first) is None,
            )
    return figures


@contextmanager
def latencies(running: Running) -> Iterator[list[float]]:
    """Ask all the time; how long each answer took, in seconds."""
    waits: list[float] = []
    done = threading.Event()

    def ask() -> None:
        with KubernetesClient(running, "shop") as client:
            while not done.wait(0.01):
                began = time.monotonic()
                client.version()
                waits.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()


def _virtual_service(name: str) -> str:
    return (
        f"apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: load-{name}, namespace: shop}}\n"
        f"spec:\n  hosts: [load-{name}.towpath.example]\n  gateways: [istio-system/edge]\n"
        f"  http:\n    - match: [{{uri: {{prefix: /api}}}}]\n      directResponse: {{status: 200}}\n"
        f"    - directResponse: {{status: 404}}\n"
    )


def _still_there(running: Running, began: float) -> None:
    if running.process.poll() is not None or time.monotonic() - began > _PATIENCE:
        raise SystemExit("the edge did not load the files")
