"""The object or collection in a request's path. Source: kubernetes.io "API Concepts", "Resource URIs"."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Target:
    """`name` "" is the collection. `namespace` "" is all namespaces, or a cluster-scoped kind."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def target(path: str) -> Target | None:
    """None for a path without a resource (discovery, health, documents)."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    match parts:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    match rest:
        case ["namespaces", namespace, plural, *rest] if plural not in ("status", "finalize"):
            pass
        case [plural, *rest]:
            namespace = ""
        case _:
            return None
    match rest:
        case []:
            return Target(group, version, plural, namespace)
        case [name]:
            return Target(group, version, plural, namespace, name)
        case [name, subresource]:
            return Target(group, version, plural, namespace, name, subresource)
    return None
