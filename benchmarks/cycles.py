"""Memory that stays behind when objects come and go: an Ingress of its own group, a VirtualService and a Certificate.

Each cycle creates the three, waits until a load balancer serves and the certificate is issued, changes all of them and
deletes them. What the processes weigh before and after many cycles, by their number, is what a cycle leaves behind.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from benchmarks.kubernetes import KubernetesClient
from benchmarks.memory import private
from benchmarks.running import EXAMPLE, Figures, edge
from lockgate.resources.model import JsonObject

WARM_UP, CYCLES = 320, 100  # histories are full after about 300: the CA keeps orders for two minutes
_SETTLED = 15.0  # s, in which drained listeners close and caches are tidied
_PATIENCE = 60.0


def run(warm_up: int = WARM_UP, cycles: int = CYCLES) -> Figures:
    if sys.platform != "linux":
        return {"memory": "only Linux shows it"}
    with edge() as running:
        status = running.wait_until_ready()
        processes = {"supervisor": running.process.pid}
        processes |= {f"Envoy {node}": envoy["pid"] for node, envoy in status["envoys"].items()}
        with KubernetesClient(running, "shop") as client:
            for number in range(warm_up):
                cycle(client, number)
            time.sleep(_SETTLED)
            before = {name: private(pid) for name, pid in processes.items()}
            began = time.monotonic()
            for number in range(warm_up, warm_up + cycles):
                cycle(client, number)
            took = time.monotonic() - began
            time.sleep(_SETTLED)
            after = {name: private(pid) for name, pid in processes.items()}
    figures = {"cycles after warm-up": f"{cycles}, {took / cycles:.2f} s each"}
    for name in processes:
        grown = (after[name] - before[name]) * 1024 / cycles
        figures[f"{name} grows by"] = f"{grown:.1f} KiB a cycle  ({before[name]:.0f} to {after[name]:.0f} MiB)"
    return figures


def cycle(client: KubernetesClient, number: int) -> None:
    name = f"cycle-{number}"
    for body in (ingress(name), virtual_service(name), certificate(name)):
        client.create(body)
    _until(lambda: _has_address(client.get("Ingress", name)), f"{name} has a load balancer")
    _until(lambda: _is_ready(client.get("Certificate", name)), f"{name} has its certificate")
    _until(lambda: client.get("Secret", name) is not None, f"{name} has its Secret")
    client.patch(
        "Ingress",
        name,
        {
            "metadata": {
                "annotations": {"alb.ingress.kubernetes.io/load-balancer-attributes": "idle_timeout.timeout_seconds=30"}
            }
        },
    )
    client.patch("VirtualService", name, {"spec": {"http": [{"directResponse": {"status": 202}}]}})
    client.patch("Certificate", name, {"metadata": {"labels": {"changed": "yes"}}})
    time.sleep(0.2)
    for kind in ("Ingress", "VirtualService", "Certificate", "Secret"):
        client.delete(kind, name)
    _until(lambda: client.get("Ingress", name) is None, f"{name} is gone")


def ingress(name: str) -> JsonObject:
    annotations = {
        "kubernetes.io/ingress.class": "alb",
        "alb.ingress.kubernetes.io/group.name": name,
        "alb.ingress.kubernetes.io/target-type": "ip",
        "alb.ingress.kubernetes.io/listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
        "alb.ingress.kubernetes.io/certificate-arn": _certificate_arn(),
    }
    backend = {"service": {"name": "web", "port": {"number": 3000}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]},
    }


def virtual_service(name: str) -> JsonObject:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {
            "hosts": [f"{name}.towpath.example"],
            "gateways": ["istio-system/edge"],
            "http": [{"route": [{"destination": {"host": "web", "port": {"number": 3000}}}]}],
        },
    }


def certificate(name: str) -> JsonObject:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name},
        "spec": {
            "secretName": name,
            "dnsNames": [f"{name}.towpath.example"],
            "issuerRef": {"kind": "ClusterIssuer", "name": "letsencrypt"},
            "privateKey": {"algorithm": "ECDSA", "size": 256},
        },
    }


def _certificate_arn() -> str:
    text = (EXAMPLE / "30-load-balancer.yaml").read_text()
    return next(line.split(": ", 1)[1] for line in text.splitlines() if "certificate-arn" in line)


def _has_address(body: JsonObject | None) -> bool:
    status = (body or {}).get("status", {})
    return bool(status.get("loadBalancer", {}).get("ingress"))


def _is_ready(body: JsonObject | None) -> bool:
    conditions = (body or {}).get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"never: {what}")
        time.sleep(0.05)
