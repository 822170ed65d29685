"""gRPC servers for the Envoys of this machine, on sockets that only their owner may open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

UNLIMITED: Final = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
"""Options of a channel or server for messages of any size."""


async def serve(path: Path, add: Callable[[Any], None], *, options: tuple[tuple[str, int], ...] = ()) -> Any:
    """A started `grpc.aio.Server`. `add` registers its services."""
    import grpc.aio

    server = grpc.aio.server(options=options)
    add(server)
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    path.chmod(0o600)
    return server
