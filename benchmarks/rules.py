"""What rules cost a request: the load balancer's hop with 100 rules beside one, at the rule that matches last.

Three load balancers of one edge, so one Envoy, lead to the same backend, an Envoy that answers at once. They are loaded
in turns in one run: a shared machine's noise then meets all alike.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.running import Figures, Running, edge, median, spread
from benchmarks.throughput import envoy, free_port, load, static_backend

_ROUNDS = 9
_SECONDS = 4
_RULES = 100  # ELBv2's quota for a load balancer
_PATIENCE = 60.0

_OBJECTS = """\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80}]
"""
# By name: how many rules, and whether they distinguish requests by path or by header.
_BALANCERS = {"one": (1, "path"), "paths": (_RULES, "path"), "headers": (_RULES, "header")}


def run() -> Figures:
    if shutil.which("wrk") is None:
        return {"wrk": "is not installed: apt-get install wrk"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        backend = free_port()
        stack.enter_context(envoy(folder, "backend", static_backend(backend)))
        manifests = folder / "manifests"
        manifests.mkdir()
        objects = [_OBJECTS, *(json.dumps(_ingress(name, *rules)) for name, rules in _BALANCERS.items())]
        (manifests / "edge.yaml").write_text("\n---\n".join(objects))
        running = stack.enter_context(edge(f"--backend=default/web:80=http://127.0.0.1:{backend}", path=manifests))
        asked = _asked(running)
        for url, header in asked.values():
            load(url, 1, header)
        rates: dict[str, list[float]] = {name: [] for name in _BALANCERS}
        tails: dict[str, list[float]] = {name: [] for name in _BALANCERS}
        for number in range(_ROUNDS):
            names = list(_BALANCERS)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                url, header = asked[name]
                rate, tail = load(url, _SECONDS, header)
                rates[name].append(rate)
                tails[name].append(tail)
    figures = {}
    for name, (count, kind) in _BALANCERS.items():
        what = "1 rule" if count == 1 else f"{count} rules by {kind}"
        figures[f"{what}: requests per second"] = spread(rates[name], "/s", 0)
        figures[f"{what}: p99"] = spread(tails[name], "ms", 1)
    for name, what in (("paths", "by path"), ("headers", "by header")):
        ratio = median(rates[name]) / median(rates["one"])
        figures[f"requests per second, {_RULES} {what} against 1"] = f"{ratio:.3f}"
    return figures


def _ingress(name: str, count: int, kind: str) -> dict[str, Any]:
    """An Ingress of `count` rules in the order of their numbers."""
    annotations = {"kubernetes.io/ingress.class": "alb", "alb.ingress.kubernetes.io/group.name": name}
    paths = []
    for number in range(count):
        service: dict[str, Any] = {"name": "web", "port": {"number": 80}}
        if kind == "header":
            service = {"name": f"rule-{number}", "port": {"name": "use-annotation"}}
            forward = {
                "type": "forward",
                "forwardConfig": {"targetGroups": [{"serviceName": "web", "servicePort": 80}]},
            }
            only = {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "X-Rule", "values": [str(number)]}}
            annotations[f"alb.ingress.kubernetes.io/actions.rule-{number}"] = json.dumps(forward)
            annotations[f"alb.ingress.kubernetes.io/conditions.rule-{number}"] = json.dumps([only])
        path = "/" if kind == "header" else f"/rule-{number:03}"
        paths.append({"path": path, "pathType": "Prefix", "backend": {"service": service}})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"rules": [{"http": {"paths": paths}}]},
    }


def _asked(running: Running) -> dict[str, tuple[str, str]]:
    """By name: the URL and the header that meet the last rule. Waits until all of them are answered."""
    running.about()
    while True:
        found = {}
        status = running.status()
        for balancer in status["hops"][1]["load_balancers"]:
            name = balancer["name"].split("-")[1]
            count, kind = _BALANCERS[name]
            healthy = [state for group in balancer["target_groups"] for state in group["targets"].values()]
            if balancer["listeners"] and balancer["listeners"][0]["rules"] == count and set(healthy) == {"healthy"}:
                path = "/" if kind == "header" else f"/rule-{count - 1:03}"
                url = f"http://{balancer['address']}:{balancer['listeners'][0]['local_port']}{path}"
                found[name] = (url, f"X-Rule: {count - 1}")
        if found.keys() == _BALANCERS.keys() and status["ready"]:
            return found
        if running.process.poll() is not None or time.monotonic() - running.began > _PATIENCE:
            raise SystemExit(f"only {sorted(found)} of the load balancers serve")
        time.sleep(0.2)
