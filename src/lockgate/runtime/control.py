"""How other commands query a running supervisor: one question per connection, over a unix socket of its owner."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lockgate.errors import CommandError
from lockgate.runtime.pace import Pace

_LIMIT = 64 * 1024 * 1024  # bytes of an answer
_PIECE = 200  # items of a list


class NoAnswer(CommandError):
    """The supervisor does not answer: it is starting, stopping, or stuck."""

    hint = "try again in a moment; `lockgate logs` has what it does"


async def serve(path: Path, answer: Callable[[str], Awaitable[dict[str, Any]]]) -> asyncio.Server:
    """Answers questions (a word and a newline) with JSON."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = (await asyncio.wait_for(reader.readline(), 5.0)).decode().strip()
            await _write(writer, await answer(question))
        except (OSError, TimeoutError, ValueError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(accept, path)
    path.chmod(0o600)
    return server


async def _write(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    """Writes JSON in pieces: encoding thousands of objects takes a while."""
    pace = Pace()
    separator = "{"
    for name, value in answer.items():
        writer.write(f"{separator}{json.dumps(name)}:".encode())
        if isinstance(value, list):
            for start in range(0, len(value), _PIECE):
                encoded = json.dumps(value[start : start + _PIECE])[1:-1]
                writer.write(f"{',' if start else '['}{encoded}".encode())
                await pace.keep()
            writer.write(b"]" if value else b"[]")
        else:
            writer.write(json.dumps(value).encode())
        await writer.drain()
        separator = ","
    writer.write(b"}" if answer else b"{}")
    await writer.drain()


def ask(path: Path, question: str, *, timeout: float = 10.0) -> dict[str, Any]:
    """Raises `NoAnswer`."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(f"{question}\n".encode())
            answer = bytearray()
            while chunk := connection.recv(65536):
                answer += chunk
                if len(answer) > _LIMIT:
                    raise NoAnswer("its answer is too long")
        reply = json.loads(answer)
    except (OSError, ValueError) as error:
        raise NoAnswer(f"the supervisor does not answer: {error}") from error
    assert isinstance(reply, dict)
    return reply


async def close(server: asyncio.Server) -> None:
    server.close()
    with suppress(OSError):
        await server.wait_closed()
