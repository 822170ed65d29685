"""A request's way through an edge, as values.

A `Trace` is a list of hops in the order in which the request meets them. Each `Hop` has a one-line title and the facts
that decided; the last hop says how it ends. Readers print it, draw it, compare it with what a live edge did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from lockgate.loadbalancer.request import HttpVersion
from lockgate.resources.faults import Origin


class BadUrl(ValueError):
    """What was given is not an http or https URL. The message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends. `source` is the client's address as the load balancer sees it; `host` has no port.

    `now` is Unix time, by which JWTs expire; None leaves their times unchecked.
    """

    scheme: str
    host: str
    port: int
    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    source: str = "203.0.113.10"
    protocol: HttpVersion = "HTTP/1.1"
    now: float | None = None

    @staticmethod
    def of(
        url: str,
        *,
        method: str = "GET",
        headers: tuple[tuple[str, str], ...] = (),
        source: str = "203.0.113.10",
        http2: bool = False,
        now: float | None = None,
    ) -> Request:
        """Raises `BadUrl`."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadUrl(f"{url!r} is not a URL: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadUrl(f"{url!r} is not an http:// or https:// URL with a host")
        if any(character.isspace() or not character.isprintable() for character in url):
            raise BadUrl(f"{url!r} has a space or a control character; percent-encode it")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query or url.partition("#")[0].endswith("?") else "")
        number = port if port is not None else 443 if parts.scheme == "https" else 80
        return Request(
            parts.scheme,
            parts.hostname,
            number,
            target,
            method.upper(),
            headers,
            source,
            "HTTP/2" if http2 else "HTTP/1.1",
            now,
        )

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.place}{self.target}"

    @property
    def place(self) -> str:
        """Host and port as in a URL: the port is left out where the scheme implies it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """The Host header: the one that `headers` hold, else the URL's."""
        return next((value for name, value in self.headers if name.lower() == "host"), self.place)


class Verdict(StrEnum):
    """What a hop does with the request: passes it on, answers it, cannot serve it, or cannot be decided from here."""

    PASSES = "passes"
    ANSWERS = "answers"
    FAILS = "fails"
    UNDECIDED = "undecided"


Where: TypeAlias = Origin | None


class Placed(Protocol):
    """A part of a value that knows which part of a manifest it comes from."""

    @property
    def origin(self) -> Where: ...


def place(*parts: Placed | None) -> Where:
    """The origin of the first part that has one, from the narrowest to the widest."""
    return next((part.origin for part in parts if part is not None and part.origin is not None), None)


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence, and the part of a manifest that it comes from. A skipped one says why something did not match."""

    text: str
    where: Where = None
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Hop:
    """`name` is one of a fixed set: dns, listener, certificate, waf, authentication, rule, redirect, target group, tls,
    gateway, policy, patches, rate limit, virtual host, route, destination, backend. `data` is for programs."""

    name: str
    title: str
    verdict: Verdict = Verdict.PASSES
    where: Where = None
    facts: tuple[Fact, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ends. `status` is None where no HTTP answer comes, or where only the backend knows it.

    `by` is who answers: ``dns``, ``load balancer``, ``gateway`` or ``backend``. `cause` is one sentence where the
    answer is an error, and `fix` says what to change, at `where`.
    """

    status: int | None
    by: str
    location: str = ""
    backend: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    cause: str = ""
    fix: str = ""
    where: Where = None

    @property
    def is_error(self) -> bool:
        return bool(self.cause)


@dataclass(frozen=True, slots=True)
class Trace:
    request: Request
    hops: tuple[Hop, ...]
    ending: Ending
    followed: Trace | None = None
    """The request that a client sends after the redirect, where redirects are followed."""

    def hop(self, name: str) -> Hop | None:
        """The first hop of a name."""
        return next((each for each in self.hops if each.name == name), None)

    @property
    def last(self) -> Trace:
        return self.followed.last if self.followed else self
