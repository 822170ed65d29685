"""A gRPC call with an empty message. gRPC's status comes in trailers, which httpcore does not keep."""

from __future__ import annotations

import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import httpcore

from lockgate.probe.connections import said
from lockgate.probe.observed import Asked, Exchange
from lockgate.probe.reach import CONNECT_SECONDS, READ_SECONDS, NoConnection, Reach, context

_MESSAGE = b"\0\0\0\0\0"  # not compressed, no bytes: an empty message of any type
_MOST_BODY = 64 * 1024
_CHUNK = 64 * 1024


async def call(reach: Reach, asked: Asked, address: str) -> Exchange:
    """`asked.target` is ``/package.Service/Method``."""
    began = time.monotonic()
    try:
        stream = await reach.connect(address, asked.port)
        if asked.scheme == "https":
            settings = context(reach, verify=False, alpn=("h2",), newest=asked.newest_tls)
            stream = await stream.start_tls(settings, asked.host, CONNECT_SECONDS)
        try:
            return await _exchange(stream, asked, address, began)
        finally:
            await stream.aclose()
    except (NoConnection, h2.exceptions.ProtocolError) as error:
        return Exchange(address, "2", None, seconds=time.monotonic() - began, error=str(error))
    except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
        return Exchange(address, "2", None, seconds=time.monotonic() - began, error=said(error))


async def _exchange(stream: httpcore.AsyncNetworkStream, asked: Asked, address: str, began: float) -> Exchange:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    number = connection.get_next_available_stream_id()
    connection.send_headers(number, _headers(asked))
    connection.send_data(number, _MESSAGE, end_stream=True)
    await stream.write(connection.data_to_send(), CONNECT_SECONDS)
    headers: list[tuple[str, str]] = []
    body, first_byte, error, ended = b"", 0.0, "", False
    while not ended:
        received = await stream.read(_CHUNK, READ_SECONDS)
        if not received:
            error = "the connection was closed"
            break
        for event in connection.receive_data(received):
            match event:
                case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                    first_byte = first_byte or time.monotonic() - began
                    headers += [(str(name), str(value)) for name, value in event.headers or ()]
                case h2.events.DataReceived():
                    body = (body + event.data)[:_MOST_BODY]
                    connection.acknowledge_received_data(event.flow_controlled_length or 0, number)
                case h2.events.StreamEnded():
                    ended = True
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    error, ended = f"the stream was reset ({event.error_code})", True
        await stream.write(connection.data_to_send(), CONNECT_SECONDS)
    status = next((int(value) for name, value in headers if name == ":status"), None)
    grpc = next((int(value) for name, value in headers if name == "grpc-status" and value.isdecimal()), None)
    shown = tuple(pair for pair in headers if not pair[0].startswith(":"))
    seconds = time.monotonic() - began
    if status is None:
        return Exchange(address, "2", None, seconds=seconds, error=error or "no answer")
    return Exchange(address, "2", status, shown, body, first_byte, seconds, incomplete=error, grpc_status=grpc)


def _headers(asked: Asked) -> list[tuple[str, str]]:
    default = asked.port == (443 if asked.scheme == "https" else 80)
    given = {name.lower(): value for name, value in asked.headers}
    return [
        (":method", "POST"),
        (":scheme", asked.scheme),
        (":path", asked.target),
        (":authority", given.pop("host", asked.host if default else f"{asked.host}:{asked.port}")),
        *{
            "content-type": "application/grpc",
            "te": "trailers",
            "user-agent": asked.agent,
            "x-amzn-trace-id": f"Root={asked.trace_id}",
            **given,
        }.items(),
    ]
