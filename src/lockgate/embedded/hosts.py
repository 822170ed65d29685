"""Refuses requests for foreign hosts, as a defence against DNS rebinding.

A web page can make its own host name resolve to 127.0.0.1. The browser then lets it talk to any server on this
machine. But the page cannot change the `Host` header of its requests. So a server is safe if it answers only for names
that outsiders cannot register.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address

from lockgate.embedded.asgi import Application, Receive, Scope, Send
from lockgate.embedded.refusals import refuse

MISDIRECTED = 421  # RFC 9110, section 15.5.20

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::[0-9]{1,5})?")

# How containers name the machine that they run on. No public name server has a name below ``internal``.
_CONTAINERS = frozenset({"host.docker.internal", "host.containers.internal"})


def is_own(authority: str, names: Collection[str]) -> bool:
    """Whether ``host[:port]`` is this machine's loopback interface or one of `names` (lower case)."""
    match = _HOST.fullmatch(authority)
    if match is None:
        return False
    host = match["host"].strip("[]").rstrip(".").lower()
    # RFC 6761, section 6.3: names under localhost never leave the machine, so outsiders cannot register them.
    if host in names or host in _CONTAINERS or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def only_for(names: Collection[str], application: Application) -> Application:
    """Passes requests for the loopback interface or one of `names` to `application`. Others get 421."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await application(scope, receive, send)
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) == 1 and is_own(hosts[0], names):
            await application(scope, receive, send)
        else:
            await refuse(scope, send, MISDIRECTED, _reason(hosts, names))

    return checked


def _reason(hosts: list[str], names: Collection[str]) -> str:
    asked = repr(", ".join(hosts))[:200] if hosts else "a request without Host"
    return (
        f"this server is not for {asked}. It answers only to {', '.join(('127.0.0.1', 'localhost', *sorted(names)))}, "
        "so that no web page reaches it by DNS rebinding"
    )
