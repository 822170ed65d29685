"""`kubectl logs`: the lines of a Pod, selected as a client asks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from lockgate.embedded.kubernetes.exchange import Request
from lockgate.resources.status import BadRequest

MOST_LINES: Final = 100_000  # of an answer: the last ones
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Line:
    time: datetime
    text: str


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Of PodLogOptions those that select lines. `timestamps` puts the time before each."""

    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit: int | None = None  # bytes

    @staticmethod
    def of(request: Request, now: datetime) -> LogOptions:
        """Raises `BadRequest`."""
        seconds, moment = request.number("sinceSeconds"), request.query.get("sinceTime")
        since = now - timedelta(seconds=min(seconds, 10**9)) if seconds is not None else None
        if moment:
            try:
                since = datetime.fromisoformat(moment)
            except ValueError as error:
                raise BadRequest(f'parsing time "{moment[:64]}": it is no RFC 3339 time') from error
            since = since if since.tzinfo else since.replace(tzinfo=UTC)
        return LogOptions(
            follow=request.flag("follow"),
            timestamps=request.flag("timestamps"),
            tail=request.number("tailLines"),
            since=since,
            limit=request.number("limitBytes"),
        )


async def selected(lines: AsyncIterator[Line | None], options: LogOptions) -> AsyncGenerator[bytes, None]:
    """The text of a log. `lines` are those that exist, then None, and then new ones as they come."""
    most = MOST_LINES if options.tail is None else min(options.tail, MOST_LINES)
    existing: deque[Line] | None = deque(maxlen=most)
    room = options.limit
    async for line in lines:
        if line is not None and options.since is not None and line.time < options.since:
            continue
        if line is not None and existing is not None:
            existing.append(line)
            continue
        found, existing = ([line] if line is not None else list(existing or ())), None
        for start in range(0, len(found), _AT_ONCE):
            text = b"".join(_text(each, options.timestamps) for each in found[start : start + _AT_ONCE])
            yield text if room is None else text[:room]
            if room is not None and (room := room - len(text)) <= 0:
                return
            await asyncio.sleep(0)
        if not options.follow:
            return


def _text(line: Line, timestamps: bool) -> bytes:
    time = f"{line.time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z " if timestamps else ""
    return f"{time}{line.text}\n".encode("utf-8", "replace")
