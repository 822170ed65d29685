"""Reads a running edge once: both APIs, the Envoys and DNS become one `State`.

Everything that has to be awaited is awaited here. A large edge has thousands of hosts, so the loop gets its turn after
each slice of them: what is served never waits for what is reported.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.runtime.observed import Balancing, Cluster, Proxy, State
from lockgate.runtime.running import RunningEdge

_SLICE = 0.005  # s of work between two turns of the loop

ItemT = TypeVar("ItemT")


async def observe(edge: RunningEdge) -> State:
    supply = edge.supply
    resolved = [host async for host in _in_slices(supply.hosts if supply else ()) if await _resolves(edge, host)]
    arns = [certificate.arn for certificate in supply.certificates] if supply else []
    issued = [arn for arn in arns if await edge.aws_api.certificate_material(arn) is not None]
    zones = tuple(zone.name.rstrip(".") for zone in await edge.aws_api.hosted_zones())
    return State(
        about=edge.about(),
        files=edge.manifests.files if edge.manifests else (),
        documents=dict(edge.loader.documents),
        applied=frozenset(edge.loader.applied),
        refused=edge.refused,
        retried=edge.cert_manager.retried,
        supply=supply,
        stacks=edge.stacks,
        cluster=Cluster(edge.store.storage.snapshot()),
        zones=zones,
        resolved=frozenset(resolved),
        issued=frozenset(issued),
        balancing=_balancing(edge),
        envoys={node: _proxy(edge, node) for node in edge.envoys},
        ports=edge.nodes.table,
        faults=(*edge.faults, *edge.istiod.faults),
        locate=edge.locate,
        timeline=tuple(edge.progress.marks),
    )


async def _resolves(edge: RunningEdge, host: str) -> bool:
    return bool(await edge.dns.addresses_of(host.replace("*", "any", 1)))


def _balancing(edge: RunningEdge) -> Balancing:
    serving = edge.load_balancing
    load_balancers, network = serving.load_balancers, serving.network_load_balancers
    everything: tuple[AnyLoadBalancer, ...] = (*load_balancers, *network)
    groups = {reference for balancer in everything for reference in balancer.target_groups}
    return Balancing(
        load_balancers=load_balancers,
        network_load_balancers=network,
        addresses=dict(edge.addresses),
        ports=dict(edge.local_ports),
        targets={reference: serving.target_states(reference) for reference in groups},
        complaints={reference: serving.complaints(reference) for reference in groups},
        unserved=dict(serving.unserved),
        current=serving.current,
    )


def _proxy(edge: RunningEdge, node: str) -> Proxy:
    envoy, gateway = edge.envoys[node], edge.istiod.proxies.get(node)
    return Proxy(
        pid=envoy.pid,
        restarts=envoy.restarts,
        settled=edge.ads.is_settled(node),
        rejections=edge.ads.rejections(node),
        snapshot=edge.ads.snapshot(node),
        gateway=gateway.gateway if gateway else None,
    )


async def _in_slices(items: Iterable[ItemT]) -> AsyncIterator[ItemT]:
    """All of `items`, with a turn for the loop whenever the time of a slice is used up."""
    began = time.monotonic()
    for item in items:
        yield item
        if time.monotonic() - began > _SLICE:
            await asyncio.sleep(0)
            began = time.monotonic()
