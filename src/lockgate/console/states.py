"""How each node of the graph is: healthy or not, in words, from one observation of a running edge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lockgate.console.graph import Graph, Kind, Node, gateway_id, target_group_id
from lockgate.console.locks import Lock
from lockgate.edge.edge import Edge
from lockgate.loadbalancer.model import TargetState
from lockgate.resources.diagnostics import Diagnostic
from lockgate.resources.faults import Severity

_WORST_FIRST = ("bad", "warn", "idle", "ok")


@dataclass(frozen=True, slots=True)
class Observed:
    """`targets` and `complaints` (of health checks) are by target group, `troubles` of Envoys by node ID, `unserved`
    by ``BALANCER:PORT``. `findings` are those of `check`, and `faults` those of the edge itself."""

    targets: Mapping[str, Mapping[str, TargetState]] = field(default_factory=dict)
    complaints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    troubles: Mapping[str, str] = field(default_factory=dict)
    unserved: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Diagnostic, ...] = ()
    locks: Mapping[str, Lock] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """`level` is ok, warn or bad, or idle where nothing is known. `lock` is the shortest text about its certificate."""

    level: str = "ok"
    text: str = ""
    lock: str = ""
    lock_level: str = ""

    def as_json(self) -> list[str]:
        return [self.level, self.text, self.lock, self.lock_level]


def states(edge: Edge, graph: Graph, seen: Observed) -> dict[str, State]:
    about = _by_subject(seen.findings)
    groups = {target_group_id(each): each for balancer in edge.load_balancers for each in balancer.target_groups}
    empty = {
        gateway_id(workload, listener.port)
        for workload, gateway in edge.gateways.items()
        for listener in gateway.listeners
        if not listener.filter_chains
    }
    found = {}
    for node in graph.nodes:
        said = [
            *_of_envoy(node, seen),
            *_of_targets(node, groups, seen),
            *_of_locks(node, seen),
            *_of_findings(node, about),
            *_of_itself(node, empty),
        ]
        said.sort(key=lambda each: _WORST_FIRST.index(each[0]))
        level = said[0][0] if said else "ok"
        text, lock_level = _lock_text(node, seen)
        found[node.id] = State(level, " · ".join(dict.fromkeys(each for _, each in said)), text, lock_level)
    return found


def _of_envoy(node: Node, seen: Observed) -> Iterator[tuple[str, str]]:
    if trouble := seen.troubles.get(node.envoy[0], ""):
        yield "bad", trouble
    if node.kind is Kind.LISTENER:
        port = node.id.rpartition("/")[2]
        if why := seen.unserved.get(f"{node.detail}:{port}"):
            yield "bad", f"not served: {why}"


def _of_targets(node: Node, groups: Mapping[str, str], seen: Observed) -> Iterator[tuple[str, str]]:
    reference = groups.get(node.id)
    if reference is None:
        return
    now = list(seen.targets.get(reference, {}).values())
    if not now:
        yield "bad", "no targets: requests get 503"
        return
    healthy = sum(each in ("healthy", "unused", "unavailable") for each in now)
    text = f"{healthy}/{len(now)} healthy"
    complaints = "; ".join(seen.complaints.get(reference, ())[:2])
    if healthy == len(now):
        yield "ok", text
    elif "initial" in now and "unhealthy" not in now:
        yield "warn", f"{text}, health checks have begun"
    else:
        yield "warn" if healthy else "bad", f"{text}{f': {complaints}' if complaints else ''}"


def _of_locks(node: Node, seen: Observed) -> Iterator[tuple[str, str]]:
    for reference in node.locks:
        lock = seen.locks.get(reference)
        if lock is not None and lock.state != "ok":
            until = f"{lock.subject} is valid for {lock.days} more days"
            level = "warn" if lock.client.startswith("The load balancer") and lock.serial else lock.state
            yield level, f"certificate: {lock.why or until}"


def _of_findings(node: Node, about: Mapping[str, list[Diagnostic]]) -> Iterator[tuple[str, str]]:
    """Those of the object, on the one node that stands for it: an Ingress is many rules, but one listener."""
    if node.where is None or node.kind is Kind.RULE:
        return
    for each in about.get(str(node.where.key), ()):
        if each.severity is not Severity.INFO:
            yield "bad" if each.severity is Severity.ERROR else "warn", f"{each.code} {each.message}"


def _of_itself(node: Node, empty: Iterable[str]) -> Iterator[tuple[str, str]]:
    if node.detail.startswith("does not listen") or node.id in empty:
        yield "bad", "nothing listens on this port"
    if node.kind is Kind.SERVICE and node.detail.startswith(("no endpoints", "this destination")):
        yield "bad", "requests get 503: " + node.detail.partition(" ·")[0]
    if node.kind is Kind.DNS and node.id.endswith("/") and node.detail.startswith("no name"):
        yield "warn", node.detail


def _lock_text(node: Node, seen: Observed) -> tuple[str, str]:
    known = [lock for each in node.locks if (lock := seen.locks.get(each)) is not None]
    if not known:
        return ("plain", "idle") if node.plain else ("", "")
    worst = min(known, key=lambda each: (_WORST_FIRST.index(each.state), each.days))
    return (f"{worst.days} d" if worst.serial else "none"), worst.state


def _by_subject(findings: Iterable[Diagnostic]) -> Mapping[str, list[Diagnostic]]:
    found: dict[str, list[Diagnostic]] = {}
    for each in findings:
        found.setdefault(each.subject, []).append(each)
    return found
