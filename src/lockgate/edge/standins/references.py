"""Placeholders in references: the manifests often contain the one object that is meant.

issuerRef: {name: <issuer>, kind: ClusterIssuer}   ->  letsencrypt, if it is the only ClusterIssuer
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from lockgate.edge.objects import Name
from lockgate.resources.field_errors import Path
from lockgate.resources.model import JsonObject
from lockgate.resources.placeholders import slug, substitute
from lockgate.resources.reader import Document


class Names:
    """The names of the objects in the manifests, with placeholders replaced."""

    def __init__(self, found: Iterable[tuple[str, Name] | None]) -> None:
        self._by_kind: dict[str, set[Name]] = {}
        for kind, name in filter(None, found):
            self._by_kind.setdefault(kind, set()).add(name)

    def meant(self, manifest: JsonObject, path: Path) -> str | None:
        """The only object that the reference at a path can mean; None if there are several, none, or no reference."""
        kind = _referred(manifest, path)
        if kind is None:
            return None
        here = named(manifest["metadata"].get("namespace"))
        everywhere = self._by_kind.get(kind, ())
        among = [each for each in everywhere if each[0] == here or kind in ("ClusterIssuer", "Gateway")]
        if len(among) != 1:
            return None
        namespace, name = among[0]
        return f"{namespace}/{name}" if kind == "Gateway" and namespace != here else name


def name_of(document: Document) -> tuple[str, Name] | None:
    """The kind and name of an object that references can mean."""
    manifest = document.manifest
    if manifest["kind"] not in _REFERRED:
        return None
    return manifest["kind"], (named(manifest["metadata"].get("namespace")), named(manifest["metadata"].get("name")))


def named(text: Any) -> str:
    return substitute(str(text or ""), slug)


def _referred(manifest: JsonObject, path: Path) -> str | None:
    """The kind of object whose name is at a path."""
    match path:
        case ("spec", "issuerRef", "name"):
            return str(manifest["spec"]["issuerRef"].get("kind") or "Issuer")
        case ("metadata", "annotations", "cert-manager.io/cluster-issuer"):
            return "ClusterIssuer"
        case ("metadata", "annotations", "cert-manager.io/issuer"):
            return "Issuer"
        case ("spec", "gateways", _) | ("spec", _, _, "match", _, "gateways", _):
            return "Gateway"
        case (*_, ("backend" | "defaultBackend"), "service", "name"):
            return "Service"
    return None


_REFERRED: Final = frozenset(("Issuer", "ClusterIssuer", "Gateway", "Service"))
