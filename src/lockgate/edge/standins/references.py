"""Placeholders in references: the manifests often contain the one object that is meant.

issuerRef: {name: <issuer>, kind: ClusterIssuer}   ->  letsencrypt, if it is the only ClusterIssuer
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from lockgate.edge.objects import Name
from lockgate.resources.field_errors import Path
from lockgate.resources.model import JsonObject
from lockgate.resources.placeholders import slug, substitute
from lockgate.resources.reader import Document


class Names:
    """The names of the objects in the manifests, with placeholders replaced."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents = documents

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

    @cached_property
    def _by_kind(self) -> dict[str, set[Name]]:
        found: dict[str, set[Name]] = {}
        for manifest in (each.manifest for each in self._documents):
            metadata = manifest["metadata"]
            name = (named(metadata.get("namespace")), named(metadata.get("name")))
            found.setdefault(manifest["kind"], set()).add(name)
        return found


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
