"""Reads a running edge once: both APIs, the Envoys and DNS become one `State`.

All awaits come first; the rest is read without interruption, so that it is consistent. A large edge has thousands of
hosts, so DNS queries yield to the loop's other work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from lockgate.dns.model import Zone
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.runtime.observed import Balancing, Cluster, Proxy, State
from lockgate.runtime.pace import Pace
from lockgate.runtime.running import RunningEdge

_MANY = 100  # hosts, of which the names in the zones are looked up before any is asked for
_DOUBTED_EVERY = 5.0  # seconds, after which resolved hosts are queried again,
_REST = 50  # or as many times the seconds that it took to query all, on a large edge


class Observer:
    """Remembers which hosts resolved, until a zone or load balancer changes.

    While thousands of records are being created, each observation queries only the missing ones.
    """

    def __init__(self, edge: RunningEdge) -> None:
        self._edge = edge
        self._zones: tuple[Zone, ...] | None = None
        self._asked: tuple[tuple[str, ...], Mapping[str, str]] = ((), {})
        self._resolved: Mapping[str, tuple[str, ...]] = {}
        self._doubted = 0.0  # when resolved hosts are queried again
        self._cluster: Cluster | None = None

    async def observe(self) -> State:
        edge, supply = self._edge, self._edge.supply
        arns = [certificate.arn for certificate in supply.certificates] if supply else []
        issued = [arn for arn in arns if await edge.places.aws_api.certificate_material(arn) is not None]
        zones = await edge.places.dns.zones()
        resolved = await self._which_resolve(supply.hosts if supply else (), zones)
        self._cluster = Cluster(edge.places.store.storage.snapshot(), self._cluster)
        return State(
            about=edge.about(),
            files=edge.manifests.files if edge.manifests else (),
            documents=edge.loader.documents,
            applied=edge.loader.applied,
            refused=edge.refused,
            retried=edge.cert_manager.retried,
            supply=supply,
            notes=edge.notes,
            stacks=edge.stacks,
            cluster=self._cluster,
            zones=tuple(zone.name.rstrip(".") for zone in zones),
            resolved=resolved,
            issued=frozenset(issued),
            balancing=_balancing(edge),
            envoys={node: proxy(edge, node) for node in edge.envoys},
            ports=edge.nodes.table,
            faults=(*edge.faults, *edge.istiod.faults, *([edge.interruption] if edge.interruption else [])),
            locate=edge.locate,
            timeline=tuple(edge.progress.marks),
            controllers=edge.options.controllers,
        )

    async def _which_resolve(self, hosts: tuple[str, ...], zones: tuple[Zone, ...]) -> Mapping[str, tuple[str, ...]]:
        edge, pace = self._edge, Pace()
        asked = (hosts, dict(edge.addresses))
        # The server returns the same zones object while nothing changes, and comparing thousands of records is slow.
        if self._zones is zones and self._asked == asked:
            return self._resolved
        found: dict[str, tuple[str, ...]] = {}
        if self._asked == asked and time.monotonic() < self._doubted:
            found.update(self._resolved)
        if again := not found or len(found) == len(hosts):
            found.clear()
        began = time.monotonic()
        published = await asyncio.to_thread(_Published, zones) if len(hosts) > _MANY else None
        for host in hosts:
            if published is not None and not published.may_have(host):
                continue
            if host not in found and (addresses := await edge.places.dns.addresses_of(host.replace("*", "any", 1))):
                found[host] = tuple(addresses)
            await pace.keep()
        if again:
            now = time.monotonic()
            self._doubted = now + max(_DOUBTED_EVERY, _REST * (now - began))
        self._zones, self._asked, self._resolved = zones, asked, found
        return self._resolved


class _Published:
    """The names with records. Of thousands of hosts whose records are being made, only those are asked for."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._names = frozenset(name for zone in zones for name in zone.by_name)

    def may_have(self, host: str) -> bool:
        name = host.lower() + "."
        if name in self._names:
            return True
        while "." in (name := name.partition(".")[2]):
            if f"*.{name}" in self._names:
                return True
        return False


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
        current=_followed(edge) and serving.current,
    )


def proxy(edge: RunningEdge, node: str) -> Proxy:
    """One Envoy, as it is now."""
    envoy, gateway = edge.envoys[node], edge.istiod.proxies.get(node)
    if edge.external_istiod and (external := edge.external_istiod.gateways.get(node)):
        return Proxy(
            pid=envoy.pid,
            restarts=envoy.restarts,
            trouble=envoy.trouble,
            settled=external.settled and _followed(edge) and edge.istiod.current,
            rejections=external.rejections(node),
            gateway=gateway.gateway if gateway else None,
            istiod=edge.external_istiod.described(external),
        )
    return Proxy(
        pid=envoy.pid,
        restarts=envoy.restarts,
        trouble=envoy.trouble,
        settled=edge.places.ads.is_settled(node) and (gateway is None or (_followed(edge) and edge.istiod.current)),
        rejections=edge.places.ads.rejections(node),
        snapshot=edge.places.ads.snapshot(node),
        gateway=gateway.gateway if gateway else None,
    )


def _followed(edge: RunningEdge) -> bool:
    """Whether the controllers know all that is in the Kubernetes API. They do not know of a Secret that was just
    written, so what they made and Envoy acknowledged before is not what Envoy should serve."""
    return edge.places.store.followed and edge.nodes.current and edge.workloads.current
