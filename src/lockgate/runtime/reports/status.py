"""`lockgate status --output json`: everything about an edge except its secrets. Pure, from a `State`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lockgate.resources import cert_manager as cm
from lockgate.resources import istio, networking
from lockgate.resources.diagnostics import diagnose
from lockgate.resources.effects.table import acted_on
from lockgate.resources.model import ObjectKey
from lockgate.resources.reader import Document
from lockgate.runtime.observed import State
from lockgate.runtime.pace import Steps, at_once
from lockgate.runtime.parts import Readiness
from lockgate.runtime.reports.hops import hops
from lockgate.runtime.reports.report import report_in_steps

_STEP = 100  # objects


def status(state: State) -> dict[str, Any]:
    return at_once(status_in_steps(state))


def status_in_steps(state: State) -> Steps[dict[str, Any]]:
    seen = yield from report_in_steps(state)
    objects = yield from _objects(state, {(line.part, line.name): line.state for line in seen.lines})
    along = hops(state)
    yield
    return {
        **state.about,
        "ready": seen.ready,
        "complete": seen.complete,
        "shortfall": list(seen.shortfall),
        "refused": list(seen.refused),
        "urls": list(seen.urls),
        "parts": [asdict(line) for line in seen.lines],
        "objects": objects,
        "hops": along,
        "faults": [diagnose(each, state.locate).as_json() for each in seen.faults],
        "supplied": list(state.notes),
        "envoys": {node: {"pid": envoy.pid, "restarts": envoy.restarts} for node, envoy in state.envoys.items()},
        "timeline": [{"done": what, "seconds": seconds} for what, seconds in state.timeline],
    }


def _objects(state: State, parts: Mapping[tuple[str, str], Readiness]) -> Steps[list[dict[str, Any]]]:
    found = []
    for key, document in sorted(state.documents.items()):
        found.append(
            {
                "kind": key.kind,
                "namespace": key.namespace,
                "name": key.name,
                "source": str(document.position),
                "state": _object_state(state, parts, key, document),
            }
        )
        if len(found) % _STEP == 0:
            yield
    return found


def _object_state(state: State, parts: Mapping[tuple[str, str], Readiness], key: ObjectKey, document: Document) -> str:
    if not document.accepted or key in state.refused:
        return Readiness.REFUSED
    if key not in state.cluster:
        return "deleted" if key in state.applied else Readiness.REFUSED
    name = f"{key.namespace}/{key.name}"
    match document.resource:
        case cm.Certificate():
            return parts.get(("certificate", name), Readiness.WAITING)
        case networking.Ingress():
            ingress = state.cluster.get(networking.Ingress, key.name, key.namespace)
            if ingress is not None and ingress.status.load_balancer.ingress:
                return parts.get(("load balancer", name), Readiness.READY)
            other = state.stacks is not None and key in state.stacks.foreign
            return parts.get(("load balancer", name), Readiness.UNSERVED if other else Readiness.WAITING)
        case istio.Gateway() | istio.VirtualService():
            return "served" if state.gateways else Readiness.WAITING
        case _:
            return "applied" if acted_on(key.group, key.kind) else "stored"
