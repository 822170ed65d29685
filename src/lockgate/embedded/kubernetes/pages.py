"""Lists in pages, each from the state at the first page (`limit` and `continue`).

The state is a snapshot: a list of references, which costs little, because stored objects never change. Old snapshots
are dropped. Then the next page is refused with 410, and with a token for the rest as it is now.

Source: kubernetes.io "API Concepts", "Retrieving large results sets in chunks"; apiserver's `pkg/storage/continue.go`,
apimachinery's `pkg/apis/meta/internalversion/validation`.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from lockgate.embedded.kubernetes.exchange import Request, Timeout, encoded
from lockgate.embedded.kubernetes.history import Stored
from lockgate.embedded.kubernetes.refusals import Cause, invalid
from lockgate.embedded.kubernetes.selectors import Matches
from lockgate.embedded.kubernetes.storage import GroupKind, Storage
from lockgate.resources.model import JsonObject, Kind, ObjectKey
from lockgate.resources.status import BadRequest, Expired, Unclassified

SNAPSHOTS: Final = 16
SNAPSHOT_TTL: Final = timedelta(minutes=5)  # etcd's compaction interval
_INCONSISTENT = -1  # the revision of a token whose snapshot is gone
_LIST_OPTIONS = Kind("meta.k8s.io", ("v1",), "ListOptions", "listoptions")
_At: TypeAlias = tuple[GroupKind, str, int]


class ContinueExpired(Expired):
    """The snapshot of a list is gone. `token` continues with what there is now."""

    def __init__(self, token: str) -> None:
        super().__init__(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
            "the results. Continuing with the provided token results in an inconsistent list - objects that were "
            "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
            "list."
        )
        self._token = token

    def status(self) -> JsonObject:
        return {**super().status(), "metadata": {"continue": self._token}}


class Pages:
    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock
        self._snapshots: OrderedDict[_At, tuple[datetime, list[Stored]]] = OrderedDict()

    def page(
        self, kind: GroupKind, namespace: str, request: Request, matches: Matches | None
    ) -> tuple[list[Stored], JsonObject]:
        """The objects of the requested page, and the list's metadata. Raises `ApiError`."""
        _check(request)
        revision, start = self._storage.revision, ("", "")
        if token := request.query.get("continue"):
            if request.query.get("resourceVersion") not in (None, "", "0"):
                raise BadRequest("specifying resource version is not allowed when using continue")
            revision, start = _position(token)
        else:
            _at_revision(request, revision)
        found = self._all(kind, namespace, revision, start) if token else self._storage.all(kind, namespace)
        left = found[bisect_right(found, start, key=_place) :] if token else found
        if matches is not None:
            left = [each for each in left if matches(each.json)]
        metadata: JsonObject = {
            "resourceVersion": str(self._storage.revision if revision == _INCONSISTENT else revision)
        }
        limit = request.number("limit", signed=True) or 0
        if 0 < limit < len(left):
            if matches is None:
                metadata["remainingItemCount"] = len(left) - limit
            left = left[:limit]
            metadata["continue"] = _token(revision, left[-1].key)
            if revision != _INCONSISTENT:
                self._keep((kind, namespace, revision), found)
        return left, metadata

    def _all(self, kind: GroupKind, namespace: str, revision: int, start: tuple[str, str]) -> list[Stored]:
        """The objects at a revision. Raises `ContinueExpired`."""
        at = (kind, namespace, revision)
        if at in self._snapshots and self._snapshots[at][0] > self._clock():
            return self._snapshots[at][1]
        if revision == _INCONSISTENT or self._storage.latest(kind) <= revision:
            return self._storage.all(kind, namespace)
        raise ContinueExpired(_token(_INCONSISTENT, ObjectKey(*kind, *start)))

    def _keep(self, at: _At, found: list[Stored]) -> None:
        now = self._clock()
        self._snapshots[at] = (now + SNAPSHOT_TTL, found)
        self._snapshots.move_to_end(at)
        while len(self._snapshots) > SNAPSHOTS or next(iter(self._snapshots.values()))[0] <= now:
            self._snapshots.popitem(last=False)


def _check(request: Request) -> None:
    """Raises `Invalid` for options that exclude each other."""
    query = request.query
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    if "sendInitialEvents" in query:
        raise _forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if match and not version:
        raise _forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match not in ("", "Exact", "NotOlderThan"):
        why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        raise invalid(_LIST_OPTIONS, "", [Cause("resourceVersionMatch", why, "FieldValueNotSupported")])
    if match and query.get("continue"):
        raise _forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
    if match == "Exact" and version == "0":
        raise _forbidden("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')


def check_watch(request: Request) -> None:
    """The same for a watch."""
    query = request.query
    match = query.get("resourceVersionMatch", "")
    if "sendInitialEvents" in query:
        if match != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            causes = [_cause("resourceVersionMatch", why)]
            if match:
                supported = f'Unsupported value: "{match}": supported values: "NotOlderThan"'
                causes.append(Cause("resourceVersionMatch", supported, "FieldValueNotSupported"))
            raise invalid(_LIST_OPTIONS, "", causes)
    elif match:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise _forbidden("resourceVersionMatch", why)
    if query.get("continue") and (match or query.get("resourceVersion") in (None, "", "0")):
        # A watch without a revision streams the objects that exist, as if it asked for NotOlderThan.
        raise _forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")


def _forbidden(field: str, why: str) -> Exception:
    return invalid(_LIST_OPTIONS, "", [_cause(field, why)])


def _cause(field: str, why: str) -> Cause:
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def _at_revision(request: Request, current: int) -> None:
    try:
        requested = request.number("resourceVersion") or 0
    except BadRequest as error:
        raise BadRequest(f"invalid resource version: {_unreadable(request, error)}") from None
    _check_future(requested, current)
    if request.query.get("resourceVersionMatch") == "Exact" and requested != current:
        raise Expired("The provided resource version is too old")


def check_revision(request: Request, current: int | None = None) -> int | None:
    """The parameter `resourceVersion` of a watch, or of a read of one object if `current` is given; 0 is None. Raises
    `Unclassified`, `Timeout`."""
    try:
        requested = request.number("resourceVersion") or None
    except BadRequest as error:
        raise Unclassified(_unreadable(request, error)) from None
    if current is not None and requested:
        _check_future(requested, current)
    return requested


def _check_future(requested: int, current: int) -> None:
    if requested > current:
        raise Timeout(
            f"Timeout: Too large resource version: {requested}, current: {current}",
            details={
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            },
        )


def _unreadable(request: Request, error: BadRequest) -> str:
    shown = json.dumps(request.query["resourceVersion"][:64])
    return f"resourceVersion: Invalid value: {shown}: {error.message}"


def _place(stored: Stored) -> tuple[str, str]:
    return stored.key.namespace, stored.key.name


def _token(revision: int, key: ObjectKey) -> str:
    place = {"v": "meta.k8s.io/v1", "rv": revision, "start": [key.namespace, key.name]}
    return base64.urlsafe_b64encode(encoded(place)).decode()


def _position(token: str) -> tuple[int, tuple[str, str]]:
    try:
        place = json.loads(base64.urlsafe_b64decode(token))
        namespace, name = place["start"]
        return int(place["rv"]), (str(namespace), str(name))
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest("invalid continue token: continue key is not valid") from error
