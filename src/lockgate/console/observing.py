"""Reads a running edge for the console: its value, its graph, and how each node is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.x509.verification import Store

from lockgate.console.graph import Graph, Kind, Node, graph_of
from lockgate.console.locks import Lock, lock, missing, trusted
from lockgate.console.states import Observed, State, states
from lockgate.console.ways import Ways
from lockgate.edge.edge import Edge
from lockgate.edge.manifests import Manifests
from lockgate.resources import core
from lockgate.runtime.value import edge_value
from lockgate.runtime.watching import Watched

_UNRELATED = frozenset({("", "Event"), ("coordination.k8s.io", "Lease")})
_LOCKS_EVERY = 30.0  # s: certificates expire


@dataclass(frozen=True, slots=True)
class View:
    """The edge at one time. `version` grows with each change of the graph, or of the lines that it comes from."""

    version: int
    edge: Edge
    graph: Graph
    ways: Ways
    states: Mapping[str, State] = field(default_factory=dict)
    locks: Mapping[str, Lock] = field(default_factory=dict)


class Looking:
    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._seen: tuple[object, ...] = ()
        self._roots: Store | None = None
        self._locks: tuple[float, Mapping[str, Lock]] = (0.0, {})
        self._edge: Edge | None = None
        self._graph = Graph()
        self._ways: Ways | None = None
        self._judged: tuple[Edge, Observed] | None = None  # what `_states` were made of
        self._states: Mapping[str, State] = {}
        self._version = 0
        self._manifests: Manifests | None = None

    async def look(self) -> View:
        """Builds again only what has changed."""
        running = self._watched.edge
        seen = self._identity()
        if self._manifests is not running.manifests:
            self._manifests = running.manifests
            self._version += 1
        if self._edge is None or self._ways is None or not _same(seen, self._seen):
            edge = await edge_value(running)
            proxies = running.istiod.proxies
            workloads = {node: proxy.gateway.workload for node, proxy in proxies.items() if proxy.gateway}
            graph = await asyncio.to_thread(graph_of, edge, workloads)
            if graph != self._graph or self._edge is None:
                self._version += 1
            self._edge, self._graph, self._seen = edge, graph, seen
            self._ways = await asyncio.to_thread(Ways, edge, graph, workloads)
            self._locks = (0.0, self._locks[1])
        if time.monotonic() - self._locks[0] > _LOCKS_EVERY:
            self._locks = (time.monotonic(), await self._read_locks())
        balancing = running.load_balancing
        groups = {each for balancer in self._edge.load_balancers for each in balancer.target_groups}
        observed = Observed(
            targets={each: balancing.target_states(each) for each in groups},
            complaints={each: balancing.complaints(each) for each in groups},
            troubles={node: envoy.trouble for node, envoy in running.envoys.items() if envoy.trouble},
            unserved=dict(balancing.unserved),
            findings=self._watched.findings(),
            locks=self._locks[1],
        )
        if self._judged is None or self._judged[0] is not self._edge or self._judged[1] != observed:
            self._states = await asyncio.to_thread(states, self._edge, self._graph, observed)
            self._judged = self._edge, observed
        return View(self._version, self._edge, self._graph, self._ways, self._states, self._locks[1])

    def _identity(self) -> tuple[object, ...]:
        """Objects that stay the same ones while nothing of the edge changes."""
        running = self._watched.edge
        kinds = running.places.store.storage.snapshot()
        balancing = running.load_balancing
        return (
            *(objects for kind, objects in kinds.items() if kind not in _UNRELATED),
            *balancing.load_balancers,
            *balancing.network_load_balancers,
            running.stacks,
            *sorted(running.istiod.proxies),
        )

    async def _read_locks(self) -> Mapping[str, Lock]:
        if self._roots is None:
            bundle = self._watched.edge.folder.ca_bundle.read_text()
            self._roots = await asyncio.to_thread(trusted, bundle)
        behind = {link.target for link in self._graph.links if self._graph.by_id[link.source].detail.startswith("HTTP")}
        found: dict[str, Lock] = {}
        for node in self._graph.nodes:
            for reference in node.locks:
                if reference not in found:
                    found[reference] = await self._read_lock(reference, node, node.id in behind)
        return found

    async def _read_lock(self, reference: str, node: Node, behind: bool) -> Lock:
        client = (
            "The load balancer accepts any certificate of its targets, as in AWS."
            if node.kind is Kind.GATEWAY and behind
            else "Clients verify it."
        )
        chain = await self._chain(reference)
        if not chain or self._roots is None:
            return missing(reference, client)
        hosts = node.hosts if node.kind is Kind.GATEWAY or len(node.locks) == 1 else ()
        try:
            return lock(reference, chain, hosts, self._roots, time.time(), client)
        except ValueError:
            return missing(reference, client)

    async def _chain(self, reference: str) -> bytes:
        running = self._watched.edge
        if not reference.startswith("Secret "):
            material = await running.places.aws_api.certificate_material(reference)
            return material[0].encode() if material else b""
        namespace, _, name = reference.removeprefix("Secret ").partition("/")
        stored = running.places.store.storage.snapshot().get(("", "Secret"), {}).get((namespace, name))
        return stored.parsed(core.Secret).decoded.get("tls.crt", b"") if stored else b""


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(a is b or a == b for a, b in zip(one, other, strict=True))
