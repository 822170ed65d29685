"""A running edge as an `Edge` value, from the current state of its two APIs, for `trace` and other readers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lockgate.certificates.request import alternative_names, load_chain
from lockgate.edge.edge import Certificate, Edge
from lockgate.edge.from_state import from_state
from lockgate.gateway.model import Gateway
from lockgate.resources.model import Resource, kinds
from lockgate.runtime.running import RunningEdge


async def edge_value(edge: RunningEdge) -> Edge:
    balancing = edge.load_balancing
    found = from_state(
        _resources(edge),
        await edge.places.aws_api.hosted_zones(),
        (*balancing.load_balancers, *balancing.network_load_balancers),
        await _certificates(edge),
        stacks=edge.stacks,
    )
    return replace(found, gateways=dict(_with_fetched(edge, found)))


def _with_fetched(edge: RunningEdge, found: Edge) -> Iterator[tuple[str, Gateway]]:
    """The gateways with the keys of JWTs and the modules that istiod has fetched, which no API has."""
    proxies = edge.istiod.proxies.values() if edge.istiod.current else ()
    served = {proxy.gateway.workload: proxy.gateway.filters for proxy in proxies if proxy.gateway}
    for name, gateway in found.gateways.items():
        yield name, replace(gateway, filters=served.get(name, gateway.filters))


def _resources(edge: RunningEdge) -> Iterator[Resource]:
    """Every object of a kind with a model."""
    for group_kind, objects in edge.places.store.storage.snapshot().items():
        if (model := kinds().get(group_kind)) is not None:
            yield from (stored.parsed(model) for stored in objects.values())


async def _certificates(edge: RunningEdge) -> dict[str, Certificate]:
    """ACM's certificates that load balancers use, with their names."""
    listeners = [listener for each in edge.load_balancing.load_balancers for listener in each.listeners]
    arns = {arn for listener in listeners for arn in listener.certificates}
    found: dict[str, Certificate] = {}
    for arn in arns:
        material = await edge.places.aws_api.certificate_material(arn)
        if material is not None:
            names = alternative_names(load_chain(material[0].encode())[0])
            found[arn] = Certificate(names["spec.dnsNames"], "ACM")
    return found
