"""A recording: the messages of an edge in a file, one line each, with the seconds since it began.

The first line says what it is. `details` of all nodes follow each drawing, so that a click works in a replay, too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import httpx

from lockgate.console.messages import NAMES, Message, NotHere
from lockgate.errors import CommandError

_FIRST = {"lockgate": "recording", "version": 1}
_LONGEST = 64 << 20  # bytes of a line
_PATIENCE = 30.0  # s without a sign of life; the stream says something at least every 15


class BadRecording(CommandError):
    """A file that is no recording, or a broken one."""

    hint = "make one with `lockgate console --record FILE`"


class Lost(CommandError):
    """The running edge does not answer, or has ended before anything was recorded."""

    hint = "`lockgate status` says how it is"


class Recorded(NamedTuple):
    """A message, and when it came: seconds since the recording began."""

    at: float
    message: Message


# --- writing -----------------------------------------------------------------------------------------------------


def record(url: str, token: str, file: IO[str]) -> Iterator[int]:
    """Writes the messages of the console at `url` until the edge ends; yields the number so far after each."""
    began, count = time.monotonic(), 0
    file.write(f"{json.dumps(_FIRST)}\n")
    try:
        with httpx.Client(base_url=url, headers=_bearer(token), timeout=_PATIENCE, trust_env=False) as client:
            for message in _followed(client):
                more = _details(client) if message.name == "graph" else []
                for each in (message, *more):
                    line = [round(time.monotonic() - began, 3), each.name, each.data]
                    file.write(f"{json.dumps(line, separators=(',', ':'))}\n")
                    count += 1
                file.flush()
                yield count
    except httpx.HTTPError as error:
        if not count:
            raise Lost(f"the console of the edge does not answer: {error}") from error


def fetch_export(url: str, token: str) -> str:
    """The running edge's page as one HTML file."""
    try:
        answer = httpx.get(f"{url}export.html", headers=_bearer(token), timeout=_PATIENCE, trust_env=False)
        return answer.raise_for_status().text
    except httpx.HTTPError as error:
        raise Lost(f"the console of the edge does not answer: {error}") from error


def _followed(client: httpx.Client) -> Iterator[Message]:
    with client.stream("GET", "events") as answer:
        answer.raise_for_status()
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield Message(name, json.loads(line.removeprefix("data: ")))


def _details(client: httpx.Client) -> list[Message]:
    everything = client.get("api/everything").raise_for_status().json()
    return [Message(name, data) for name, data in everything if name == "details"]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- reading -----------------------------------------------------------------------------------------------------


def read(path: Path) -> list[Recorded]:
    """Raises `BadRecording`, and OSError."""
    found: list[Recorded] = []
    with path.open("rb") as file:
        if _json(path, 1, file.readline(_LONGEST)) != _FIRST:
            raise BadRecording(f"{path}:1: this is not a recording of Lockgate, or one of another version")
        number = 1
        while line := file.readline(_LONGEST):
            number += 1
            if not line.endswith(b"\n"):
                break  # it was being written
            found.append(_recorded(path, number, _json(path, number, line)))
    if not found:
        raise BadRecording(f"{path}: the recording is empty")
    return found


def _json(path: Path, number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRecording(f"{path}:{number}: not JSON: {error}") from None


def _recorded(path: Path, number: int, value: Any) -> Recorded:
    match value:
        case [int() | float() as at, str() as name, data] if name in NAMES:
            return Recorded(at, Message(name, {**data, "live": False} if name == "hello" else data))
        case _:
            raise BadRecording(f"{path}:{number}: not a message: expected [SECONDS, NAME, DATA]")


class Replay:
    """A `Source` that sends a recording again, `speed` times as fast, to each page from its beginning."""

    def __init__(self, recorded: list[Recorded], speed: float = 1.0) -> None:
        self._recorded = recorded
        self._speed = speed

    async def messages(self) -> AsyncGenerator[Message, None]:
        began = time.monotonic()
        for at, message in self._recorded:
            if (rest := at / self._speed - (time.monotonic() - began)) > 0:
                await asyncio.sleep(rest)
            yield message
        await asyncio.Event().wait()  # a page whose stream ends connects again, and would begin again

    async def node(self, node: str) -> Any:
        for _, message in reversed(self._recorded):
            if message.name == "details" and node in message.data:
                return message.data[node]
        raise NotHere(f"the recording has no {node}")

    async def request(self, number: int) -> Any:
        raise NotHere(f"a recording does not have what Envoys logged of request {number}")

    async def graph(self, text: str) -> Any:
        raise NotHere("a recorded graph is shown whole")

    async def attempt(self, asked: Any) -> Any:
        raise NotHere("this is a recording: no request can be sent")

    async def everything(self) -> list[Message]:
        return [message for _, message in self._recorded]
