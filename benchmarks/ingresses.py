"""What many Ingresses cost: 1,000 of them with 10 rules each built at once, and one changed in an edge full of them.

The build is the pure part, from parsed manifests to what ELBv2 is to have. The change is the whole of it, from a saved
file to a response over a connection that stays open. The account's quota of load balancers is raised for it, as one
that has so many would have it; AWS's default is 50.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.running import Figures, Running, edge, percentile, spread
from lockgate.ingress.manifests import stack_from_manifests
from lockgate.resources.model import ObjectKey, Resource
from lockgate.resources.reader import read

_GROUPS = 100
_MEMBERS = 10  # of a group; with their rules, all that ELBv2's quota lets a load balancer have
_RULES = 10  # of an Ingress
_BUILDS, _CHANGES = 7, 30
_REST = 1.0  # s between changes: each is one by itself
_PATIENCE = 900.0  # s, until the AWS API has made every load balancer

_CLASS = """\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
"""


def run() -> Figures:
    return {**_built(), **_changed()}


def _built() -> Figures:
    began = time.monotonic()
    resources = dict(_read(_CLASS))
    for group in range(_GROUPS):
        resources.update(_read(_group(group, _MEMBERS)))
    read_in = time.monotonic() - began
    figures = {f"{_GROUPS * _MEMBERS} Ingresses and Services, read and checked": f"{read_in:.2f} s"}
    whole, part = [], []
    for _ in range(_BUILDS):
        began = time.monotonic()
        stacks = stack_from_manifests(resources.values())
        whole.append(time.monotonic() - began)
    balancers = [stack.load_balancer for stack in stacks.stacks if stack.load_balancer]
    rules = {len(listener.rules) for balancer in balancers for listener in balancer.listeners}
    assert (len(balancers), rules) == (_GROUPS, {_MEMBERS * _RULES})
    for number in range(_CHANGES):
        resources.update(_read(_group(number, _MEMBERS, code=201 + number)))
        began = time.monotonic()
        stacks = stack_from_manifests(resources.values(), earlier=stacks)
        part.append((time.monotonic() - began) * 1000)
    figures[f"{_GROUPS} load balancers with {_MEMBERS * _RULES} rules each, built"] = spread(whole, "s")
    figures["  one of them changed, built upon the others"] = spread(part, "ms", 1)
    return figures


def _changed() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        files = written(Path(folder))
        with edge(path=Path(folder)) as running:
            balancers = until_made(running)
            for group in range(_GROUPS):
                _answers(_client(balancers, group), _path(group), 200)
            made_in = time.monotonic() - running.began
            samples = []
            for number in range(_CHANGES):
                group = number * 37 % _GROUPS
                code = 400 + number
                client = _client(balancers, group)  # a new one: load balancers close those that idle for a minute
                _answers(client, _path(group), 200)
                files[group].write_text(_group(group, _MEMBERS, code=code))
                saved = time.monotonic()
                _answers(client, _path(group), code)
                samples.append((time.monotonic() - saved) * 1000)
                time.sleep(_REST)
    ingresses = _GROUPS * _MEMBERS
    return {
        f"lockgate up until {_GROUPS} load balancers of {ingresses} Ingresses serve": f"{made_in:.1f} s",
        "  one of them changed, saved file to served change": spread(samples, "ms", 0),
        "  95th percentile": f"{percentile(samples, 0.95):.0f} ms",
    }


def written(folder: Path) -> list[Path]:
    """Manifests of all groups, a file for each."""
    files = [folder / f"group-{group:03}.yaml" for group in range(_GROUPS)]
    (folder / "class.yaml").write_text(_CLASS)
    (folder / "lockgate.yaml").write_text(f"quotas: {{application-load-balancers: {_GROUPS}}}\n")
    for group, file in enumerate(files):
        file.write_text(_group(group, _MEMBERS))
    return files


def _read(text: str) -> Iterator[tuple[ObjectKey, Resource]]:
    reading = read(text, "benchmark.yaml")
    assert not reading.faults, reading.faults
    for document in reading.documents:
        assert document.resource
        yield document.resource.key, document.resource


def _group(group: int, members: int, *, code: int = 200) -> str:
    """The Ingresses of one load balancer, each with a Service of its own; the first has a rule that answers `code`."""
    return "---\n".join(_member(group, member, code if member == 0 else 200) for member in range(members))


def _path(group: int) -> str:
    return f"/group-{group:03}-0/0"


def _member(group: int, member: int, code: int) -> str:
    name = f"group-{group:03}-{member}"
    answer = {"type": "fixed-response", "fixedResponseConfig": {"contentType": "text/plain", "statusCode": str(code)}}
    paths = "".join(
        f"""\
          - path: /{name}/{rule}
            pathType: Prefix
            backend:
              service:
                name: {"answer" if rule == 0 else name}
                port: {"{name: use-annotation}" if rule == 0 else "{number: 80}"}
"""
        for rule in range(_RULES)
    )
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec:
  type: NodePort
  selector: {{app: {name}}}
  ports: [{{name: http, port: 80, targetPort: 8080, nodePort: {30000 + group * _MEMBERS + member}}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: default
  annotations:
    alb.ingress.kubernetes.io/group.name: group-{group:03}
    alb.ingress.kubernetes.io/actions.answer: '{json.dumps(answer)}'
spec:
  ingressClassName: alb
  rules:
    - http:
        paths:
{paths}"""


def until_made(running: Running) -> dict[str, dict[str, Any]]:
    """The load balancers by their groups' names, when all of them serve."""
    running.about()
    while True:
        found = {}
        for balancer in running.status()["hops"][1]["load_balancers"]:
            if balancer["listeners"] and balancer["listeners"][0]["rules"] == _MEMBERS * _RULES:
                found[balancer["name"].split("-")[1]] = balancer
        if len(found) == _GROUPS:
            return found
        if running.process.poll() is not None or time.monotonic() - running.began > _PATIENCE:
            raise SystemExit(f"only {len(found)} of {_GROUPS} load balancers were made")
        time.sleep(1)


def _client(balancers: dict[str, dict[str, Any]], group: int) -> http.client.HTTPConnection:
    balancer = balancers[f"group{group:03}"]
    return http.client.HTTPConnection(balancer["address"], balancer["listeners"][0]["local_port"], timeout=20)


def _answers(client: http.client.HTTPConnection, path: str, code: int) -> None:
    """Ask until it is so."""
    began = time.monotonic()
    status = 0
    while True:
        if time.monotonic() - began > _PATIENCE:
            raise SystemExit(f"{path} answers {status}, not {code}")
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        status = answer.status
        if status == code:
            return
        time.sleep(0.002)  # the edge has few cores, and asking takes one
