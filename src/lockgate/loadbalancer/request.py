"""A request as a value: as a client sends it, or as a target receives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

HttpVersion: TypeAlias = Literal["HTTP/1.0", "HTTP/1.1", "HTTP/2"]


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is path and query as on the wire; `host` is the Host header or ``:authority``, with its port if any.

    `port` is the listener's; `source` is the peer's address. Header names keep their case.
    """

    method: str = "GET"
    target: str = "/"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    port: int = 80
    protocol: HttpVersion = "HTTP/1.1"
    server_name: str | None = None
    source: str = "127.0.0.1"
    source_port: int = 0

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str | None:
        """Without the ``?``; None if the request has no query."""
        _, mark, query = self.target.partition("?")
        return query if mark else None

    @property
    def host_name(self) -> str:
        """The host without its port."""
        name, colon, port = self.host.rpartition(":")
        return name if colon and port.isdigit() else self.host

    @property
    def is_http2(self) -> bool:
        return self.protocol == "HTTP/2"

    def all(self, name: str) -> tuple[str, ...]:
        """Values of a header, by its lower-case name."""
        return tuple(value for key, value in self.headers if key.lower() == name)

    def first(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)
