"""How long a small request waits while many objects come and go: at the Kubernetes API and at the AWS API.

Two clients ask again and again, each for one small thing, while a third creates thousands of objects of several kinds,
lists and watches them, and deletes their namespace.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import boto3

from benchmarks.kubernetes import KubernetesClient
from benchmarks.running import Figures, Running, edge, percentile
from lockgate.resources.model import JsonObject

OBJECTS = 10_000
_PAUSE = 0.01  # s between two requests of one client
_NAMESPACE = "many"
_KINDS = ("ConfigMap", "VirtualService", "Service")
_TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


def run(objects: int = OBJECTS) -> Figures:
    figures: Figures = {}
    with edge() as running, KubernetesClient(running, _NAMESPACE) as client:
        running.wait_until_ready()
        for what, work in _phases(client, objects):
            began = time.monotonic()
            with _asked(_small_read(running)) as kubernetes, _asked(_hosted_zones(running)) as aws:
                work()
            figures[f"{objects} objects {what}"] = f"{time.monotonic() - began:.1f} s"
            for api, waits in (("Kubernetes", kubernetes), ("AWS", aws)):
                figures[f"  {what}: a GET of the {api} API waits"] = _summary(waits)
    return figures


def _phases(client: KubernetesClient, objects: int) -> Iterator[tuple[str, Callable[[], None]]]:
    def create() -> None:
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}})
        for number, kind in zip(range(objects), cycle(_KINDS), strict=False):
            client.create(_object(kind, f"o{number}"))

    def read() -> None:
        for kind in _KINDS:
            client.read(client.path(kind))
            client.read(client.path(kind), _TABLE)
            client.read(f"{client.path(kind)}?watch=1&timeoutSeconds=2")

    def delete() -> None:
        client.delete("Namespace", _NAMESPACE)
        while client.get("Namespace", _NAMESPACE) is not None:
            time.sleep(0.1)

    yield "created", create
    yield "listed, tabled, watched", read
    yield "deleted", delete


def _object(kind: str, name: str) -> JsonObject:
    match kind:
        case "ConfigMap":
            return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": {"name": name}}
        case "Service":
            spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]}
            return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        case _:
            route = {"destination": {"host": "web.shop.svc.cluster.local", "port": {"number": 3000}}}
            spec = {
                "hosts": [f"{name}.towpath.example"],
                "gateways": ["istio-system/edge"],
                "http": [{"route": [route]}],
            }
            return {
                "apiVersion": "networking.istio.io/v1",
                "kind": kind,
                "metadata": {"name": name},
                "spec": spec,
            }


def _small_read(running: Running) -> Callable[[], Any]:
    client = KubernetesClient(running, "default")
    return lambda: client.read("/api/v1/namespaces/default")


def _hosted_zones(running: Running) -> Callable[[], Any]:
    aws = running.about()
    client = boto3.client(
        "route53",
        endpoint_url=aws["addresses"]["aws"],
        region_name=aws["aws"]["region"],
        aws_access_key_id=aws["aws"]["access_key_id"],
        aws_secret_access_key=aws["aws"]["secret_access_key"],
    )
    return lambda: client.get_hosted_zone_count()


@contextmanager
def _asked(ask: Callable[[], Any]) -> Iterator[list[float]]:
    """Seconds that each request took, from another thread, for as long as the context is open."""
    waits: list[float] = []
    done = threading.Event()

    def go_on() -> None:
        while not done.is_set():
            began = time.monotonic()
            ask()
            waits.append(time.monotonic() - began)
            time.sleep(_PAUSE)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()


def _summary(waits: list[float]) -> str:
    shares = {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99), "most": max(waits)}
    return ", ".join(f"{name} {1000 * each:.0f} ms" for name, each in shares.items()) + f"  (n={len(waits)})"
