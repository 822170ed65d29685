"""The configuration stream: delta ADS over a unix socket, for all Envoys of an edge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lockgate.dataplane.culprits import culprits
from lockgate.dataplane.desired import Desired, Rejection, ResourceName
from lockgate.dataplane.refusals import TRIED, EnvoyTrial
from lockgate.dataplane.stream import Push, Stream
from lockgate.dataplane.unix_server import UNLIMITED, serve
from lockgate.xds.snapshot import Entry, Snapshot

log = logging.getLogger("lockgate.dataplane")


class AdsServer:
    """Serves each node its latest published snapshot. A rejection is kept until the rejected resource is replaced.

    With a `trial`, pieces that Envoy rejects are found and left out; without it the whole resource keeps its last
    version.
    """

    def __init__(self, on_rejection: Callable[[Rejection], None], trial: EnvoyTrial | None = None) -> None:
        self._on_rejection = on_rejection
        self._trial = trial
        self._nodes: dict[str, _Node] = {}
        self._server: Any = None

    async def start(self, path: Path) -> None:
        from envoy.service.discovery.v3 import ads_pb2_grpc

        add = partial(ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server, _Service(self))
        self._server = await serve(path, add, options=UNLIMITED)

    async def stop(self) -> None:
        searches = [task for state in self._nodes.values() for task in state.searches.values()]
        for task in searches:
            task.cancel()
        await asyncio.gather(*searches, return_exceptions=True)
        if self._server is not None:
            await self._server.stop(None)

    def publish(self, node: str, snapshot: Snapshot) -> None:
        """Sets a node's desired configuration; returns at once."""
        state = self._node(node)
        state.publish(snapshot)

    def rejections(self, node: str) -> tuple[Rejection, ...]:
        state = self._node(node)
        return (*state.rejections.values(), *state.desired.left_out)

    def snapshot(self, node: str) -> Snapshot:
        return self._node(node).desired.snapshot

    def nonces(self, node: str) -> Mapping[str, tuple[str, str]]:
        """By type, the nonces of what a connected node was sent last, and of what it accepted last."""
        streams = self._node(node).streams
        return dict(streams[-1].nonces) if streams else {}

    def is_settled(self, node: str) -> bool:
        """Whether the node is connected and has acknowledged its whole snapshot."""
        state = self._node(node)
        return not state.searches and any(stream.settled for stream in state.streams)

    async def settled(self, node: str) -> None:
        """Waits until `is_settled`."""
        state = self._node(node)
        while not self.is_settled(node):
            await state.progress()

    def _node(self, name: str) -> _Node:
        if name not in self._nodes:
            self._nodes[name] = _Node(name, self._on_rejection, self._trial)
        return self._nodes[name]

    async def stream(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """One connection: Envoy's requests in, responses out."""
        first = await anext(aiter(requests), None)
        if first is None:
            return
        state = self._node(first.node.id)
        stream = Stream(state.desired, state.reject)
        state.streams.append(stream)
        wake = asyncio.Event()
        state.wakers.append(wake)
        reader = asyncio.create_task(_read(first, requests, stream, state))
        try:
            while not reader.done():
                for nonce, push in stream.take():
                    yield _response(nonce, push)
                state.note_progress()
                await wake.wait()
                wake.clear()
        finally:
            reader.cancel()
            state.streams.remove(stream)
            state.wakers.remove(wake)
            state.note_progress()


class _Node:
    def __init__(self, name: str, on_rejection: Callable[[Rejection], None], trial: EnvoyTrial | None) -> None:
        self.desired = Desired(name)
        self.streams: list[Stream] = []
        self.wakers: list[asyncio.Event] = []
        self.rejections: dict[ResourceName, Rejection] = {}
        self.searches: dict[ResourceName, asyncio.Task[None]] = {}
        self._on_rejection = on_rejection
        self._trial = trial
        self._progress = asyncio.Event()

    def publish(self, snapshot: Snapshot) -> None:
        before = self.desired.left_out
        self.desired.publish(snapshot)
        self.rejections = {at: each for at, each in self.rejections.items() if self.desired.is_rejected(*at)}
        self._tell(before)
        self.stir()

    def stir(self) -> None:
        for wake in self.wakers:
            wake.set()

    def reject(self, rejection: Rejection, entry: Entry) -> None:
        at = (rejection.type_url, rejection.name)
        if self._trial is None or entry.pieces is None or rejection.type_url not in TRIED:
            self._give_up(rejection)
            return
        if earlier := self.searches.pop(at, None):
            earlier.cancel()
        search = self.searches[at] = asyncio.create_task(self._search(rejection, entry, self._trial))
        search.add_done_callback(lambda _: self._searched(at, search))

    def note_progress(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()

    async def progress(self) -> None:
        await self._progress.wait()

    async def _search(self, rejection: Rejection, entry: Entry, trial: EnvoyTrial) -> None:
        """Finds the faulty pieces, and sends Envoy the rest."""
        at = (rejection.type_url, rejection.name)
        try:
            found = await culprits(entry, partial(trial.refusal, rejection.type_url))
        except OSError as error:
            log.warning("cannot find out what Envoy (%s) rejects: %s", rejection.node, error)
            found = []
        if not self.desired.is_rejected(*at):
            return  # a newer version has been published
        if not found:
            self._give_up(rejection)
            return
        before = self.desired.left_out
        self.desired.leave_out(found)
        self._tell(before)

    def _searched(self, at: ResourceName, search: asyncio.Task[None]) -> None:
        if self.searches.get(at) is search:
            del self.searches[at]
        self.stir()
        self.note_progress()

    def _give_up(self, rejection: Rejection) -> None:
        self.rejections[rejection.type_url, rejection.name] = rejection
        self._on_rejection(rejection)

    def _tell(self, before: tuple[Rejection, ...]) -> None:
        for rejection in self.desired.left_out:
            if rejection not in before:
                self._on_rejection(rejection)


class _Service:
    def __init__(self, server: AdsServer) -> None:
        self._server = server

    async def DeltaAggregatedResources(self, requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for response in self._server.stream(requests):
            yield response

    async def StreamAggregatedResources(self, _requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        import grpc

        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "only delta ADS is served")
        yield  # makes this an async generator, which gRPC requires for a stream


async def _read(first: Any, requests: AsyncIterator[Any], stream: Stream, state: _Node) -> None:
    try:
        _take_in(first, stream)
        state.stir()
        async for request in requests:
            _take_in(request, stream)
            state.stir()
    finally:
        state.stir()


def _take_in(request: Any, stream: Stream) -> None:
    if request.response_nonce:
        failed = request.HasField("error_detail")
        stream.acknowledge(request.response_nonce, request.error_detail.message if failed else None)
    if not request.response_nonce or request.resource_names_subscribe or request.resource_names_unsubscribe:
        stream.subscribe(
            request.type_url,
            list(request.resource_names_subscribe),
            list(request.resource_names_unsubscribe),
            dict(request.initial_resource_versions),
        )


def _response(nonce: str, push: Push) -> Any:
    from envoy.service.discovery.v3 import discovery_pb2
    from google.protobuf import any_pb2

    return discovery_pb2.DeltaDiscoveryResponse(
        type_url=push.type_url,
        nonce=nonce,
        removed_resources=push.removed,
        resources=[
            discovery_pb2.Resource(
                name=name,
                version=entry.version,
                resource=any_pb2.Any(type_url=push.type_url, value=entry.body),
            )
            for name, entry in push.entries.items()
        ],
    )
