"""Sends the load balancers' spans to the collector of `--otlp`. The gateways' Envoys send their own."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NoReturn

from lockgate.dataplane.records import Growing
from lockgate.gateway.telemetry.model import Collector
from lockgate.ingress.manifests import Stacks
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.spans import Place, Record, Span, span
from lockgate.resources.faults import Locate, Origin

log = logging.getLogger("lockgate.runtime")

_POLL: Final = 0.5  # s
_TIMEOUT: Final = 5.0  # s for a batch
_METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_SERVER: Final = 2  # SPAN_KIND_SERVER
_ERROR: Final = 2  # STATUS_CODE_ERROR


class Spans:
    """`records` is the file that the load balancers' Envoy writes. `load_balancers` and `stacks` return the current
    ones, and `locate` the lines of what made their rules."""

    def __init__(
        self,
        collector: Collector,
        records: Path,
        *,
        load_balancers: Callable[[], Sequence[LoadBalancer]],
        stacks: Callable[[], Stacks | None],
        locate: Locate,
    ) -> None:
        self._collector = collector
        self._growing = Growing(records)
        self._load_balancers = load_balancers
        self._stacks = stacks
        self._locate = locate
        self._failing = False

    async def run(self) -> NoReturn:
        """Until cancelled. Spans that the collector does not take are lost."""
        async with AsyncExitStack() as open_connections:
            export = await _exporter(self._collector, open_connections)
            while True:
                if found := list(self._new()):
                    await self._send(export, found)
                if not self._growing.behind:
                    await asyncio.sleep(_POLL)

    async def _send(self, export: Callable[[bytes], Awaitable[None]], spans: Sequence[Span]) -> None:
        try:
            await export(_request(spans))
        except Exception as error:  # gRPC's and HTTP's errors have no other common base
            if not self._failing:
                log.warning("the collector at %s takes no spans: %s", self._collector.authority, error)
            self._failing = True
        else:
            if self._failing:
                log.info("the collector at %s takes spans again", self._collector.authority)
            self._failing = False

    def _new(self) -> Iterator[Span]:
        names = {each.arn: each.name for each in self._load_balancers()}
        origins = dict(_origins(self._stacks()))
        for record in self._growing.records():
            if made := span(record, self._place(record, names, origins), secrets.token_hex):
                yield made

    def _place(self, record: Record, names: dict[str, str], origins: dict[tuple[str, str, str], Origin]) -> Place:
        name = names.get(str(record.get("balancer")), "")
        origin = origins.get((name, str(record.get("listener_port")), str(record.get("rule"))))
        position = self._locate(origin) if origin else None
        return Place(name, f"{position.file}:{position.line}" if position else "")


def _origins(stacks: Stacks | None) -> Iterator[tuple[tuple[str, str, str], Origin]]:
    """What made each rule, by load balancer, port and priority."""
    for stack in stacks.stacks if stacks else ():
        for listener in stack.load_balancer.listeners if stack.load_balancer else ():
            for rule in listener.rules:
                if stack.load_balancer and rule.origin:
                    yield (stack.load_balancer.name, str(listener.port), str(rule.priority)), rule.origin


async def _exporter(collector: Collector, opened: AsyncExitStack) -> Callable[[bytes], Awaitable[None]]:
    if collector.path:
        import httpx

        client = await opened.enter_async_context(httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False))
        url = f"http://{collector.authority}{collector.path}"

        async def post(body: bytes) -> None:
            answer = await client.post(url, content=body, headers={"content-type": "application/x-protobuf"})
            answer.raise_for_status()

        return post
    import grpc.aio

    channel = await opened.enter_async_context(grpc.aio.insecure_channel(collector.authority))
    method = channel.unary_unary(_METHOD)

    async def call(body: bytes) -> None:
        await method(body, timeout=_TIMEOUT)

    return call


def _request(spans: Sequence[Span]) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    by_balancer: dict[str, Any] = {}
    for each in spans:
        service = str(dict(each.attributes).get("lockgate.load_balancer", "load balancer"))
        if (scope := by_balancer.get(service)) is None:
            resource = request.resource_spans.add()
            resource.resource.attributes.add(key="service.name").value.string_value = service
            # By number: these messages come with Envoy's, of whichever version, and their names have changed.
            scope = by_balancer[service] = getattr(resource, resource.DESCRIPTOR.fields_by_number[2].name).add()
            getattr(scope, scope.DESCRIPTOR.fields_by_number[1].name).name = "lockgate"
        _fill(scope.spans.add(), each)
    body: bytes = request.SerializeToString()
    return body


def _fill(message: Any, one: Span) -> None:
    message.trace_id, message.span_id = bytes.fromhex(one.trace), bytes.fromhex(one.span)
    message.parent_span_id = bytes.fromhex(one.parent)
    message.name, message.kind = one.name, _SERVER
    message.start_time_unix_nano, message.end_time_unix_nano = one.start, one.end
    if one.failed:
        message.status.code = _ERROR
    for name, value in one.attributes:
        attribute = message.attributes.add(key=name).value
        match value:
            case bool():
                attribute.bool_value = value
            case int():
                attribute.int_value = value
            case _:
                attribute.string_value = value
