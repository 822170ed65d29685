"""Placeholders in any field for which the API server would refuse the object: numbers, paths, enums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from lockgate.edge.objects import Name
from lockgate.edge.standins.references import named
from lockgate.edge.standins.replaced import Replaced, put, text_of
from lockgate.resources import validation
from lockgate.resources.field_errors import Path, Reason, value_at
from lockgate.resources.model import JsonObject, kinds
from lockgate.resources.placeholders import tokens
from lockgate.resources.reader import Document

_PORT: Final = 80
# By the last part of the path. 0 attempts are refused; Istio's default is 2.
_OTHERS: Final[Mapping[str, str | int]] = {"port": _PORT, "attempts": 2, "path": "/"}
_TRIES: Final = 5  # one fault may hide another


class Ports:
    """The first port of each Service in the manifests."""

    def __init__(self, found: Iterable[tuple[Name, int] | None]) -> None:
        self._first = dict(filter(None, found))

    def of(self, namespace: str, service: str) -> int:
        return self._first.get((namespace, service), _PORT)


def first_port(document: Document) -> tuple[Name, int] | None:
    """A Service's name and first port."""
    manifest = document.manifest
    if manifest["kind"] != "Service" or not isinstance(port := value_at(manifest, ("spec", "ports", 0, "port")), int):
        return None
    metadata = manifest["metadata"]
    return (named(metadata.get("namespace")), named(metadata.get("name"))), port


def replaced_refusals(group: str, kind: str, manifest: JsonObject, ports: Ports) -> Iterator[Replaced]:
    """Optional fields are removed. The port of a Service becomes its first."""
    model = kinds().get((group, kind))
    for _ in range(_TRIES if model is not None else 0):
        assert model is not None
        found = False
        for error in validation.examine(model, manifest).refusals:
            text = text_of(value_at(manifest, error.path))
            if error.reason is Reason.REQUIRED or text is None or not tokens(text):
                continue
            made = _stand_in(manifest, error.path, ports)
            found = True
            noun = "a number" if error.reason is Reason.TYPE else "a valid value"
            put(manifest, error.path, made)
            yield Replaced(error.path, text, made, noun, "the API server refuses the object")
        if not found:
            return


def _stand_in(manifest: JsonObject, path: Path, ports: Ports) -> str | int | None:
    match path:
        case ("spec", "servers", _, "port", ("protocol" | "number") as field):
            port, protocol = (443, "HTTPS") if value_at(manifest, (*path[:3], "tls", "mode")) else (_PORT, "HTTP")
            return port if field == "number" else protocol
        case ("spec", "servers", _, "tls", "mode"):
            return "SIMPLE"
        case (*_, "port", "number"):
            return _port(manifest, path, ports)
        case (*_, last):
            return _OTHERS.get(str(last))
    return None


def _port(manifest: JsonObject, path: Path, ports: Ports) -> int:
    leads = value_at(manifest, path[:-2])  # a backend's Service, or a route's destination
    host = str(leads.get("name") or leads.get("host") or "") if isinstance(leads, dict) else ""
    name, _, rest = host.partition(".")
    return ports.of(rest.partition(".")[0] or named(manifest["metadata"].get("namespace")), name)
