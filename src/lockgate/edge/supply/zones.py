"""Hosted zones: those that issuers name, and those of the edge's hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lockgate.edge.objects import Objects
from lockgate.edge.supply.hosts import common_parent, registrable, zone_of
from lockgate.edge.supply.pieces import Zone
from lockgate.resources import cert_manager as cm

AnyIssuer = cm.Issuer | cm.ClusterIssuer


def issuers(objects: Objects) -> tuple[AnyIssuer, ...]:
    return (*objects.all(cm.Issuer), *objects.all(cm.ClusterIssuer))


def route53_solvers(
    issuers: Sequence[AnyIssuer],
) -> Iterator[tuple[AnyIssuer, cm.Solver, cm.Route53]]:
    for issuer in issuers:
        for solver in issuer.spec.acme.solvers if issuer.spec.acme else ():
            if solver.dns01 and solver.dns01.route53:
                yield issuer, solver, solver.dns01.route53


def zones(objects: Objects, hosts: Sequence[str], named: Mapping[str, str]) -> tuple[Zone, ...]:
    """`named` are the IDs in lockgate.yaml, by name. A zone without an ID takes the one that another issuer names for
    it."""
    found: dict[str, Zone] = {}
    more: list[Zone] = []  # zones whose name already has another ID
    for name, id_ in named.items():
        found[name] = Zone(name, id_, f"hosted zone {name}: created with the id {id_}, as lockgate.yaml says")
    for issuer, solver, route53 in route53_solvers(issuers(objects)):
        id_ = route53.hosted_zone_id.strip().removeprefix("/").removeprefix("hostedzone/")
        names = _names(objects, issuer, solver)
        for zone in _wanted(solver, names):
            earlier = found.get(zone)
            taken = id_ in {each.zone_id for each in (*found.values(), *more)}
            if earlier is None or (id_ and not taken and earlier.zone_id is None):
                found[zone] = _named(issuer, zone, None if taken else id_)  # an ID identifies one zone
            elif id_ and not taken:
                more.append(_another(issuer, zone, id_, names))
    for host in hosts:
        if zone_of(host.removeprefix("*."), found) is None:
            name = registrable(host)
            found[name] = Zone(name, None, f"hosted zone {name}: created for {host}")
    return (*found.values(), *more)


def _named(issuer: AnyIssuer, zone: str, id_: str | None) -> Zone:
    with_id = f" with the id {id_}" if id_ else ""
    return Zone(zone, id_ or None, f"hosted zone {zone}: created{with_id}, as {issuer.KIND.kind} {issuer.name} says")


def _another(issuer: AnyIssuer, zone: str, id_: str, names: Sequence[str]) -> Zone:
    """A second ID in one domain usually belongs to a subdomain's zone; otherwise to another zone with the same name."""
    below = common_parent(name for name in names if zone_of(name.removeprefix("*."), [zone]))
    return _named(issuer, below if below.endswith(f".{zone}") else zone, id_)


def _names(objects: Objects, issuer: AnyIssuer, solver: cm.Solver) -> tuple[str, ...]:
    """The DNS names of the solver: those it selects, or those of the issuer's certificates."""
    if solver.selector and solver.selector.dns_names:
        return solver.selector.dns_names
    return tuple(
        name
        for certificate in objects.all(cm.Certificate)
        if certificate.spec.issuer_ref.name == issuer.name
        for name in filter(None, (certificate.spec.common_name, *certificate.spec.dns_names))
    )


def _wanted(solver: cm.Solver, names: Sequence[str]) -> Iterator[str]:
    named = solver.selector.dns_zones if solver.selector else ()
    found = named or [registrable(name) for name in names if "." in name.removeprefix("*.")]
    yield from dict.fromkeys(zone.rstrip(".").lower() for zone in found)
