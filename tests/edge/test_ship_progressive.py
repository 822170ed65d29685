"""`apply --progressive`: no request is lost to the change, and a new version that fails goes back."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.edge.conftest import PATIENCE, ROOT, Start, Up
from tests.edge.failing_backends import backends
from tests.edge.shipping import planned, ship

pytestmark = pytest.mark.edge

EDGE = ROOT / "examples" / "edge"
QUICK = ("--yes", "--no-verify", "--progressive", "--shares", "30,100", "--pause", "0")
ATTRIBUTES = "    alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds=1\n"
GATEWAY = """\
apiVersion: v1
kind: Service
metadata: {name: next, namespace: istio-system}
spec:
  type: NodePort
  selector: {app: next, istio: ingressgateway}
  ports:
    - {name: status-port, port: 15021}
    - {name: https, port: 443, targetPort: 8443}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: next, namespace: istio-system}
spec:
  selector: {matchLabels: {app: next}}
  template:
    metadata: {labels: {app: next, istio: ingressgateway}, annotations: {inject.istio.io/templates: gateway}}
    spec: {containers: [{name: istio-proxy, image: auto}]}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 3000}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: web, image: example/web}}]}}}}
"""


def leading_to(folder: Path, web: str, *, gateway: str = "istio-ingressgateway") -> Path:
    """The example's edge with another back-end, and with another gateway."""
    shutil.copytree(EDGE, folder, dirs_exist_ok=True)
    route = folder / "50-routes.yaml"
    route.write_text(
        route.read_text().replace("host: web\n", f"host: {web}\n") + SERVICE.format(name=web) * (web != "web")
    )
    ingress = folder / "30-load-balancer.yaml"
    text = ingress.read_text().replace("  annotations:\n", f"  annotations:\n{ATTRIBUTES}")
    ingress.write_text(text.replace("name: istio-ingressgateway\n", f"name: {gateway}\n"))
    if gateway == "next":
        (folder / "25-next.yaml").write_text(GATEWAY)
    return folder


@contextmanager
def requests_running(edge: Up) -> Iterator[dict[str, int]]:
    """The outcomes of requests that run all the time are there at the end."""
    outcomes: dict[str, int] = {}
    command = ["probe", "https://towpath.example/", "--name", edge.name, "--every", "100ms", "--output", "json"]
    process = subprocess.Popen([sys.executable, "-m", "lockgate", *command], stdout=subprocess.PIPE, text=True)
    try:
        yield outcomes
    finally:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE)
        outcomes.update(json.loads(said)["outcomes"])


def killed_at(edge: Up, folder: Path, *texts: str) -> None:
    """`apply` until it has said all of `texts`, one after the other, and no further."""
    left = list(texts)
    command = ["exec", "--name", edge.name, "--", sys.executable, "-m", "lockgate", "apply", str(folder), *QUICK]
    process = subprocess.Popen([sys.executable, "-m", "lockgate", *command], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 3 * PATIENCE
    assert process.stdout is not None
    for line in process.stdout:
        assert time.monotonic() < deadline
        if left[0] in line:
            left.pop(0)
        if not left:
            process.kill()
            break
    assert process.wait(20) == -signal.SIGKILL


def weights_of_gateways(edge: Up) -> list[int]:
    """Of the rule of the HTTPS listener."""

    def elbv2(operation: str, *arguments: str) -> str:
        return edge.exec("aws", "elbv2", operation, *arguments, "--output", "text").strip()

    balancer = elbv2("describe-load-balancers", "--query", "LoadBalancers[0].LoadBalancerArn")
    query = "Listeners[?Port==`443`].ListenerArn"
    listener = elbv2("describe-listeners", "--load-balancer-arn", balancer, "--query", query)
    query = "Rules[].Actions[].ForwardConfig.TargetGroups[].Weight"
    return [int(each) for each in elbv2("describe-rules", "--listener-arn", listener, "--query", query).split()]


def weights_of_routes(edge: Up) -> list[int]:
    route = json.loads(edge.exec("kubectl", "get", "virtualservice", "-n", "shop", "towpath", "-o", "json"))
    return [each.get("weight", 100) for each in route["spec"]["http"][1]["route"]]


def test_it_shifts_to_the_end_or_back_and_is_resumed(up: Start, tmp_path: Path) -> None:
    with backends() as ports:
        broken = f"shop/bad:3000=http://127.0.0.1:{ports['broken']}"
        first = leading_to(tmp_path / "first", "web")
        edge = up(first, "--empty", "--backend", broken, name="progressive").ready()
        ship(edge, "apply", first, "--yes", "--no-verify")
        with requests_running(edge) as outcomes:
            good = leading_to(tmp_path / "good", "web-2", gateway="next")
            killed_at(edge, good, "30 % of the requests")
            assert weights_of_routes(edge) == [70, 30]
            assert "30, 100 %" in "".join(each["title"] for each in planned(edge, good, *QUICK[2:])["steps"])
            killed_at(edge, good, "… shift Ingress", "30 % of the requests")
            assert weights_of_gateways(edge) == [70, 30]
            ship(edge, "apply", good, *QUICK)
        assert set(outcomes) == {"200"}
        assert not planned(edge, good, *QUICK[2:], check=0)["changes"]
        assert '"service": "shop/web-2:3000"' in edge.curl("https://towpath.example/")
        bad = leading_to(tmp_path / "bad", "bad", gateway="next")
        said = ship(edge, "apply", bad, *QUICK, check=1)
        assert "https://towpath.example/ at 30 %: 500; all requests go where they went before" in said.stderr
        assert '"service": "shop/web-2:3000"' in edge.curl("https://towpath.example/")
        kept = edge.exec(
            "kubectl", "get", "virtualservice", "-n", "shop", "towpath", "-o", "yaml", "--show-managed-fields"
        )
        assert "weight" not in kept
        left = planned(edge, good)["objects"]
        assert {each["action"] for each in left if "VirtualService" in each["object"]} <= {"none"}
        edge.stop()
