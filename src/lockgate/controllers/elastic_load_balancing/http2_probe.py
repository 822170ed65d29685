"""Health checks over HTTP/2: a GET, or a gRPC call on plain frames, because gRPC libraries require message types."""

from __future__ import annotations

import asyncio

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

from lockgate.loadbalancer.health import Answered, Failed, Outcome


async def call(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    authority: str,
    path: str,
    scheme: str,
    user_agent: str,
    *,
    grpc: bool,
) -> Outcome:
    """The HTTP status, or the gRPC status, which is in the trailers or in a Trailers-Only answer's headers."""
    connection = H2Connection(H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    stream = connection.get_next_available_stream_id()
    headers = [
        (":method", "POST" if grpc else "GET"),
        (":scheme", scheme),
        (":authority", authority),
        (":path", path),
        *([("content-type", "application/grpc"), ("te", "trailers")] if grpc else []),
        ("user-agent", user_agent),
    ]
    connection.send_headers(stream, headers, end_stream=not grpc)
    if grpc:
        connection.send_data(stream, b"\0\0\0\0\0", end_stream=True)  # one empty message
    writer.write(connection.data_to_send())
    header = "grpc-status" if grpc else ":status"
    status: str | None = None
    while data := await reader.read(65536):
        try:
            events = connection.receive_data(data)
        except ProtocolError:
            return Failed()
        for event in events:
            if isinstance(event, ResponseReceived | TrailersReceived):
                status = _value(event.headers, header) or status
            elif isinstance(event, DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamReset):
                return Failed()
            if isinstance(event, StreamEnded) or (status is not None and not grpc):
                return Answered(int(status)) if status is not None and status.isdigit() else Failed()
        writer.write(connection.data_to_send())
    return Failed()


def _value(headers: object, header: str) -> str | None:
    pairs = headers if isinstance(headers, list) else []
    return next((str(value) for name, value in pairs if name == header), None)
