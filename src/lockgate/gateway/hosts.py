"""Host names as Istio compares them: exact, ``*.suffix`` and ``*``, short names, and a ``namespace/`` prefix.

Source: istio/istio `pkg/config/host/name.go`, `pilot/pkg/model/gateway.go`, `virtualservice.go`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerHost:
    """A host of a Gateway's server. `namespace` limits it to that namespace's VirtualServices; empty allows all."""

    host: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.host}" if self.namespace else self.host


def server_hosts(hosts: Iterable[str], namespace: str) -> tuple[ServerHost, ...]:
    """A server's hosts: ``./h`` allows its own namespace, ``*/h`` all namespaces, and ``*/*`` covers all other
    hosts."""
    found: list[ServerHost] = []
    for text in hosts:
        before, slash, host = text.rpartition("/")
        if not slash or before == "*":
            if slash and host == "*":
                return (ServerHost("*"),)
            found.append(ServerHost(host))
        else:
            found.append(ServerHost(host, namespace if before == "." else before))
    return tuple(found)


def narrower(one: str, other: str) -> str | None:
    """The narrower of two hosts if one covers the other, else None. As in Istio, case matters."""
    if within(one, other):
        return one
    return other if within(other, one) else None


def within(host: str, pattern: str) -> bool:
    """Whether `pattern` covers all names that `host` covers. ``*.a.b`` does not cover ``a.b``."""
    if not pattern.startswith("*"):
        return host == pattern
    suffix = pattern[1:]
    if host.startswith("*"):
        return len(host) >= len(pattern) and host[1:].endswith(suffix)
    return len(host) >= len(suffix) and host.endswith(suffix)


def fully_qualified(host: str, namespace: str, domain: str) -> str:
    """A destination's host. Without a dot it is a Service of `namespace`; otherwise it is used unchanged."""
    if "." in host or host.startswith("*") or ":" in host or not host:
        return host
    return f"{host}.{namespace}.svc.{domain}"


def best_match(host: str, patterns: Iterable[str]) -> str | None:
    """The most specific pattern that covers `host`: itself, or the longest wildcard."""
    covering = [pattern for pattern in patterns if within(host, pattern)]
    return max(covering, key=lambda pattern: (not pattern.startswith("*"), len(pattern)), default=None)


def gateway_name(name: str, namespace: str) -> str:
    """A VirtualService's reference to a Gateway, as ``namespace/name``; ``mesh`` stays ``mesh``.

    ``gw.ns`` (and ``gw.ns.svc…``) is the older form of ``ns/gw``.
    """
    if name == "mesh":
        return name
    before, slash, last = name.partition("/")
    if slash:
        return f"{namespace if before == '.' else before}/{last}"
    parts = name.split(".")
    return f"{parts[1]}/{parts[0]}" if len(parts) > 1 else f"{namespace}/{name}"


def visible(export_to: Iterable[str], owner: str, viewer: str) -> bool:
    """Whether a resource of namespace `owner` with this exportTo is visible from namespace `viewer`."""
    return any(target in ("*", viewer) or (target == "." and owner == viewer) for target in export_to)
