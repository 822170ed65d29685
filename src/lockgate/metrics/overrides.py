"""How a Telemetry changes a proxy's metrics: families that are not counted, and labels that are added or removed.

Values of labels are CEL expressions in Istio. Here they can be texts, and what is known of a flow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.metrics.flows import Flow
from lockgate.metrics.store import Labels, labels_of

_TEXT: Final = re.compile(r"""\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*""")
_KNOWN: Final[Mapping[str, Callable[[Flow], str]]] = {
    "response.code": lambda flow: str(flow.code),
    "response.grpc_status": lambda flow: flow.grpc,
    "upstream.address": lambda flow: flow.upstream,
    "xds.cluster_name": lambda flow: flow.cluster,
}


@dataclass(frozen=True, slots=True)
class Override:
    """Of one family, such as ``istio_requests_total``. A tag's value is an expression, or None to remove the label."""

    disabled: bool = False
    tags: tuple[tuple[str, str | None], ...] = ()


def evaluates(expression: str) -> bool:
    """Whether the value of an expression is known here."""
    return _TEXT.fullmatch(expression) is not None or expression.strip() in _KNOWN


def split(
    labels: Labels, flow: Flow, families: Iterable[str], overrides: Mapping[str, Override]
) -> dict[Labels, frozenset[str]]:
    """The families that are counted with each set of labels."""
    found: dict[Labels, set[str]] = {}
    for family in families:
        override = overrides.get(family, Override())
        if not override.disabled:
            found.setdefault(_changed(labels, flow, override), set()).add(family)
    return {each: frozenset(several) for each, several in found.items()}


def _changed(labels: Labels, flow: Flow, override: Override) -> Labels:
    if not override.tags:
        return labels
    changed = dict(labels)
    for name, expression in override.tags:
        if expression is None:
            changed.pop(name, None)
        elif evaluates(expression):
            changed[name] = _value(expression, flow)
    return labels_of(changed.items())


def _value(expression: str, flow: Flow) -> str:
    if text := _TEXT.fullmatch(expression):
        return text[1] or text[2] or ""
    return _KNOWN[expression.strip()](flow)
