"""A rule's header operations."""

from __future__ import annotations

from lockgate.gateway.model import UNCHANGED, AddHeader, HeaderChanges, SetHeader
from lockgate.resources import istio


def header_changes(headers: istio.Headers | None) -> tuple[HeaderChanges, HeaderChanges]:
    """The changes to the request and to the response."""
    if headers is None:
        return UNCHANGED, UNCHANGED
    return _changes(headers.request), _changes(headers.response)


def _changes(operations: istio.HeaderOperations | None) -> HeaderChanges:
    """Header operations without `host` and pseudo-headers, which cannot be changed this way."""
    if operations is None:
        return UNCHANGED
    return HeaderChanges(
        put=(
            *(SetHeader(name.lower(), value) for name, value in sorted(operations.set.items()) if _plain(name)),
            *(AddHeader(name.lower(), value) for name, value in sorted(operations.add.items()) if _plain(name)),
        ),
        remove=tuple(name.lower() for name in operations.remove if _plain(name)),
    )


def _plain(name: str) -> bool:
    return bool(name) and not name.startswith(":") and name.lower() != "host"


def authority(operations: istio.HeaderOperations | None) -> str:
    """The Host that operations set, or else add; it is rewritten separately from other headers."""
    for pairs in (operations.set, operations.add) if operations else ():
        for name, value in pairs.items():
            if name.lower() in ("host", ":authority"):
                return value
    return ""
