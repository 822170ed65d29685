"""Reads a running edge once: both APIs, the Envoys and DNS become one `State`.

Everything that has to be awaited is awaited here. A large edge has thousands of hosts, so the loop gets its turn after
each slice of them: what is served never waits for what is reported.
"""

from __future__ import annotations

from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.runtime.observed import Balancing, Cluster, Proxy, State
from lockgate.runtime.pace import Pace
from lockgate.runtime.running import RunningEdge


async def observe(edge: RunningEdge) -> State:
    supply, pace = edge.supply, Pace()
    resolved = set()
    for host in supply.hosts if supply else ():
        if await _resolves(edge, host):
            resolved.add(host)
        await pace.keep()
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
        trouble=envoy.trouble,
        settled=edge.ads.is_settled(node),
        rejections=edge.ads.rejections(node),
        snapshot=edge.ads.snapshot(node),
        gateway=gateway.gateway if gateway else None,
    )
