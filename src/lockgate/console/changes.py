"""What happened between two looks at an edge that nobody else reports: health of targets, certificates, Envoys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lockgate.console.graph import Kind
from lockgate.console.locks import Lock, renewed
from lockgate.console.observing import View
from lockgate.console.states import State
from lockgate.runtime.running import RunningEdge
from lockgate.runtime.timeline import Level

_LEVELS: Mapping[str, Level] = {"ok": "ok", "warn": "warn", "bad": "bad", "idle": "info"}

Change = tuple[str, Level, str]
"""Kind, level and text of an event of the timeline."""


@dataclass(frozen=True, slots=True)
class Before:
    """The last look; empty before the first one."""

    envoys: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, State] = field(default_factory=dict)
    locks: Mapping[str, Lock] = field(default_factory=dict)


def changes(before: Before, edge: RunningEdge, view: View) -> tuple[Before, list[Change]]:
    now = Before(
        {node: envoy.restarts for node, envoy in edge.envoys.items()},
        {
            node.id: view.states[node.id]
            for node in view.graph.nodes
            if node.kind is Kind.TARGET_GROUP and node.id in view.states
        },
        view.locks,
    )
    return now, list(_between(before, now, view))


def _between(before: Before, now: Before, view: View) -> Iterator[Change]:
    for node, restarts in now.envoys.items():
        if restarts > before.envoys.get(node, restarts):
            yield "envoy", "bad", f"the Envoy {node} ended, and is started again"
    for group, state in now.groups.items():
        earlier = before.groups.get(group)
        if earlier is not None and earlier.level != state.level:
            yield "health", _LEVELS[state.level], f"target group {view.graph.by_id[group].title}: {state.text}"
    for level, text in renewed(before.locks, now.locks):
        yield "certificate", _LEVELS[level], text
