"""Selects the issuer's solver for a challenge.

Source: cert-manager, `pkg/util/solverpicker`, and its documentation "Configuring Issuers, ACME": the most specific
selector wins; among equals, the first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from lockgate.resources import cert_manager as cm

NONE_FITS = (
    "Failed to determine a valid solver configuration for the set of domains on the Order: "
    "no configured challenge solvers can be used for this challenge"
)


def pick(
    solvers: Sequence[cm.Solver],
    domain: str,
    *,
    wildcard: bool,
    labels: Mapping[str, str],
    offered: Collection[str],
) -> cm.Solver | None:
    """The solver for a domain (without ``*.``). `offered` are the CA's challenge types, such as ``dns-01``."""
    name = f"*.{domain}" if wildcard else domain
    best: cm.Solver | None = None
    best_weight: tuple[int, int, int] | None = None
    for solver in solvers:
        if solver_type(solver) not in offered:
            continue
        weight = _weigh(solver.selector or cm.SolverSelector(), name, labels)
        if weight is not None and (best_weight is None or weight > best_weight):
            best, best_weight = solver, weight
    return best


def solver_type(solver: cm.Solver) -> str:
    """The ACME challenge type of a solver; "" for an empty solver."""
    if solver.dns01 is not None:
        return "dns-01"
    return "http-01" if solver.http01 is not None else ""


def _weigh(selector: cm.SolverSelector, name: str, labels: Mapping[str, str]) -> tuple[int, int, int] | None:
    """The rank (names, zone, labels); None if a selector does not match."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return None
    if selector.dns_names and name not in selector.dns_names:
        return None
    zone = 0
    if selector.dns_zones:
        depths = [each.count(".") + 1 for each in selector.dns_zones if name == each or name.endswith(f".{each}")]
        if not depths:
            return None
        zone = max(depths)
    return (1 if selector.dns_names else 0, zone, len(selector.match_labels))
