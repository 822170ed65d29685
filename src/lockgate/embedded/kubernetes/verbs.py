"""The HTTP verbs for objects and collections: parse parameters and bodies, call `store`, and return answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from lockgate.embedded.kubernetes import advice, bodies, conversions, identities, request_options
from lockgate.embedded.kubernetes.calls import Call
from lockgate.embedded.kubernetes.catalogue import is_built_in
from lockgate.embedded.kubernetes.custom.conversion_webhooks import Reading
from lockgate.embedded.kubernetes.deletions import Policy, Preconditions, deletion
from lockgate.embedded.kubernetes.exchange import (
    Answer,
    Listing,
    MethodNotAllowed,
    NotAcceptable,
    UnsupportedMediaType,
)
from lockgate.embedded.kubernetes.forms import Form, answered
from lockgate.embedded.kubernetes.history import Stored
from lockgate.embedded.kubernetes.pages import Pages, check_revision, check_watch
from lockgate.embedded.kubernetes.patch import json_patch, merge_patch, strategic_merge_patch
from lockgate.embedded.kubernetes.refusals import Cause, conflict, invalid, not_found, undecodable
from lockgate.embedded.kubernetes.scale import check_scalable, scale_of, with_scale
from lockgate.embedded.kubernetes.selectors import Matches, field_selector, label_selector
from lockgate.embedded.kubernetes.server_side_apply import untyped
from lockgate.embedded.kubernetes.store import Store
from lockgate.embedded.kubernetes.watches import Watch
from lockgate.resources.model import JsonObject, Kind, ObjectKey
from lockgate.resources.status import ApiError, BadRequest, Unclassified

_Shown = TypeVar("_Shown", Answer, Listing)
_STRATEGIC = "application/strategic-merge-patch+json"


class Verbs:
    """All methods raise `ApiError`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pages = Pages(store.storage, store.clock)

    def get(self, call: Call) -> Answer | Reading:
        check_revision(call.request, self._store.storage.revision)
        stored = self._store.storage.get(call.key)
        if stored is None:
            raise not_found(call.model.KIND, call.target.name)
        form = self._form(call)
        return _reading(call, [stored], lambda: form.answer(stored))

    def list(self, call: Call) -> Listing | Reading:
        query = call.request.query
        call.request.number("timeoutSeconds", signed=True)
        matches = _selected(call) if query.get("labelSelector") or query.get("fieldSelector") else None
        found, metadata = self._pages.page(call.model.KIND.group_kind, call.target.namespace, call.request, matches)
        form = self._form(call)
        return _reading(call, found, lambda: form.listing(found, lambda: metadata))

    def watch(self, call: Call) -> Watch:
        query = call.request.query
        storage = self._store.storage
        check_watch(call.request)
        revision = check_revision(call.request)
        initial = call.request.flag("sendInitialEvents")
        if initial or ("sendInitialEvents" in query and revision is None):
            revision = None if initial else storage.revision
        matches = _selected(call)
        if name := call.target.name:
            matches = partial(_named, name=name, matches=matches)
        timeout = call.request.number("timeoutSeconds", signed=True)
        form = self._form(call)
        if form.accepts.media == "yaml":
            served = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
            raise NotAcceptable(f"only the following media types are accepted: {served}")
        selectors = (query.get("labelSelector"), query.get("fieldSelector"), call.target.name)
        return Watch(
            form=form,
            namespace=call.target.namespace,
            matches=matches,
            revision=revision,
            bookmarks=call.request.flag("allowWatchBookmarks"),
            initial_end=initial and call.request.flag("allowWatchBookmarks"),
            timeout=max(float(timeout), 0.0) if timeout else None,
            conversion=call.conversion,
            view=(id(form.kind), form.api_version, form.accepts, form.include, call.target.namespace, selectors),
        )

    def create(self, call: Call) -> Answer | Reading:
        body = self._manifest(call)
        body, warnings = self._pruned(call, body)
        body = self._in_storage(call, body)
        metadata = {**body["metadata"]}
        if call.model.KIND.namespaced:
            metadata["namespace"] = call.target.namespace
        if metadata.get("resourceVersion") not in (None, "", "0"):
            raise Unclassified("resourceVersion should not be set on objects to be created")
        created = self._store.writes.create(call.model, {**body, "metadata": metadata}, call.by)
        return self._written(call, created, 201, warnings)

    def replace(self, call: Call) -> Answer | Reading:
        body = self._manifest(call)
        if not body["metadata"].get("name"):
            why = "was undeterminable: name must be provided"
            raise BadRequest(f"the name of the object ({call.target.name} based on URL) {why}")
        existing = self._store.writes.existing(call.model.KIND, call.key)
        identities.check_metadata(call, existing.json["metadata"], body["metadata"], replaced=True)
        body, warnings = self._pruned(call, body)
        body = self._in_storage(call, body)
        kind = call.model.KIND
        if not body["metadata"].get("resourceVersion") and not is_built_in(kind.group):
            cause = Cause("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
            raise invalid(replace(kind, kind=kind.plural), call.target.name, [cause])
        updated = self._store.writes.update(call.model, call.key, lambda _: body, call.by)
        return self._written(call, updated, 200, warnings)

    def patch(self, call: Call) -> Answer | Reading:
        kind, media = call.model.KIND, call.request.content_type
        built_in = is_built_in(kind.group)
        change: Callable[[JsonObject], Any]
        match media:
            case "application/apply-patch+yaml":
                return self._apply(call)
            case "application/json-patch+json":
                change = partial(json_patch, operations=bodies.patch(call.request))
            case "application/merge-patch+json":
                change = partial(merge_patch, patch=_object(bodies.patch(call.request)))
            case "application/strategic-merge-patch+json" if built_in:
                key = self._store.schemas.merge_key(call.model)
                change = partial(strategic_merge_patch, patch=_object(bodies.patch(call.request)), merge_key=key)
            case _:
                raise _unsupported(kind)
        if call.request.flag("force"):
            cause = Cause("force", "Forbidden: may not be specified for non-apply patch", "FieldValueForbidden")
            raise invalid(call.options, "", [cause])
        warnings: list[str] = []

        def checked(before: JsonObject) -> JsonObject:
            after = change(self._in_request(call, before))
            bodies.check_depth(after)
            identities.check_patched(call, before, after)
            after = conversions.stored(after, call.target.api_version, kind)
            pruned, dropped = self._pruned(call, after, patch=True)
            warnings.extend(dropped)
            return self._in_storage(call, pruned)

        updated = self._store.writes.update(call.model, call.key, checked, call.by)
        return self._written(call, updated, 200, tuple(warnings))

    def scale(self, call: Call) -> Answer:
        """Reads or changes the replicas of a workload."""
        by = replace(call.by, subresource="")
        kind = call.model.KIND
        change: Callable[[JsonObject], Any]
        match call.request.method, call.request.content_type:
            case "GET" | "HEAD", _:
                body = self._store.writes.existing(kind, call.key).json
                check_scalable(kind, body)
                return answered(call.request, scale_of(kind, body))
            case "PUT", _:
                sent = bodies.manifest(call.request)
                if (sent.get("kind") or "Scale") != "Scale":
                    version = str(sent.get("apiVersion", "")).rpartition("/")[2]
                    why = f"converting ({version}.{sent['kind']}) to (autoscaling.Scale): unknown conversion"
                    raise BadRequest(f'{sent["kind"]} in version "{version}" cannot be handled as a Scale: {why}')
                if (name := (sent.get("metadata") or {}).get("name")) and name != call.target.name:
                    url = f"does not match the name on the URL ({call.target.name})"
                    raise BadRequest(f"the name of the object ({name}) {url}")
                change = lambda _: sent  # noqa: E731
            case "PATCH", "application/json-patch+json":
                change = partial(json_patch, operations=bodies.patch(call.request))
            case "PATCH", "application/merge-patch+json" | "application/strategic-merge-patch+json" as media if (
                kind.replicas is None or media != _STRATEGIC
            ):
                # A Scale has no lists, so both patches mean the same.
                change = partial(merge_patch, patch=_object(bodies.patch(call.request)))
            case "PATCH", "application/apply-patch+yaml":
                change = partial(merge_patch, patch=_object(bodies.from_yaml(call.request.body)))
            case "PATCH", _:
                raise _unsupported(kind)
            case _:
                raise MethodNotAllowed("the server does not allow this method on the requested resource")

        def scaled(body: JsonObject) -> JsonObject:
            return with_scale(kind, body, _object(change(scale_of(kind, body))))

        return answered(call.request, scale_of(kind, self._store.writes.update(call.model, call.key, scaled, by)))

    def delete(self, call: Call) -> Answer | Reading:
        options = request_options.of_deletion(call.request)
        existing = self._store.writes.existing(call.model.KIND, call.key)
        body, gone = self._delete(call, existing.key, options)
        if not gone:
            return self._written(call, body, 200)
        kind = call.model.KIND
        details = {"name": call.target.name, "kind": kind.plural, "uid": body["metadata"]["uid"]}
        if kind.group:
            details["group"] = kind.group
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return answered(call.request, status)

    def delete_collection(self, call: Call) -> Listing | Reading:
        options = request_options.of_deletion(call.request)
        matches = _selected(call)
        found = self._store.storage.all(call.model.KIND.group_kind, call.target.namespace)
        chosen = [stored for stored in found if matches(stored.json)]
        if call.admission is not None:  # before the first is deleted
            for stored in chosen:
                call.admission.validated(deletion(stored, call.model.KIND, dry_run=bool(options.get("dryRun"))))

        def deleted() -> Iterator[Stored]:
            for stored in chosen:
                if self._store.storage.get(stored.key) is not None:  # it may have been deleted with an earlier owner
                    self._delete(call, stored.key, options)
                yield stored

        form = self._form(call)
        metadata = lambda: {"resourceVersion": str(self._store.storage.revision)}  # noqa: E731
        return _reading(call, chosen, lambda: form.listing(deleted(), metadata))

    def _apply(self, call: Call) -> Answer | Reading:
        body = bodies.from_yaml(call.request.body)
        if not isinstance(body, dict):
            raise BadRequest("error decoding YAML: an object is expected")
        if not call.request.query.get("fieldManager"):
            cause = Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
            raise invalid(call.options, "", [cause])
        if not body.get("apiVersion") or not body.get("kind"):
            group, _, version = str(body.get("apiVersion") or "").rpartition("/")
            raise BadRequest(f"invalid object type: {group}/{version}, Kind={body.get('kind') or ''}")
        if (body["apiVersion"], body["kind"]) != (call.target.api_version, call.model.KIND.kind):
            group, _, version = str(body["apiVersion"]).rpartition("/")
            raise BadRequest(f"invalid object type: {group}/{version}, Kind={body['kind']}")
        identities.check_identity(call, body)
        metadata = {**(body.get("metadata") or {}), "name": call.target.name}
        if metadata.get("managedFields"):
            raise BadRequest("metadata.managedFields must be nil")
        if call.model.KIND.namespaced:
            metadata["namespace"] = call.target.namespace
        self._check_applied(call, conversions.stored(body, call.target.api_version, call.model.KIND))
        body = {**conversions.stored(body, call.target.api_version, call.model.KIND), "metadata": metadata}
        if call.conversion is not None:
            body = call.conversion.converted(body, call.model.KIND.api_version)
        existed = self._store.storage.get(call.key) is not None
        if not existed and (uid := metadata.get("uid")):
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise conflict(call.model.KIND, call.target.name, why)
        force = call.request.flag("force")
        applied = self._store.writes.apply(call.model, body, call.by, force=force)
        return self._written(call, applied, 200 if existed else 201)

    def _check_applied(self, call: Call, body: JsonObject) -> None:
        """Server-side apply never drops fields silently, in any mode."""
        schemas = self._store.schemas
        try:
            read = schemas.decoded(call.model, call.target.version, body)
        except BadRequest as error:
            raise untyped(body, call.model.KIND, [error.message.partition(": ")[2]]) from error
        if unknown := read[1] if read else schemas.unknown_fields(call.model, call.target.version, body):
            raise untyped(body, call.model.KIND, [f".{field}: field not declared in schema" for field in unknown])
        if faults := schemas.untyped(call.model, body):
            raise untyped(body, call.model.KIND, faults)

    def _manifest(self, call: Call) -> JsonObject:
        body = bodies.manifest(call.request)
        identities.check_identity(call, body)
        body = conversions.stored(body, call.target.api_version, call.model.KIND)
        return {**body, "metadata": dict(body.get("metadata") or {})}

    def _pruned(self, call: Call, body: JsonObject, *, patch: bool = False) -> tuple[JsonObject, tuple[str, ...]]:
        """The body without unknown fields, and warnings about these. Raises under ``Strict``."""
        mode = call.request.query.get("fieldValidation") or "Warn"
        schemas = self._store.schemas
        try:
            read = schemas.decoded(call.model, call.target.version, body)
        except BadRequest as error:
            if not patch:
                raise
            raise identities.unpatchable(call, error.message.partition(": ")[2]) from error
        body, unknown = read or (body, schemas.unknown_fields(call.model, call.target.version, body))
        repeated = bodies.repeated_fields(call.request) if not patch and mode != "Ignore" else []
        if not unknown and not repeated:
            return body, ()
        kind = call.model.KIND
        texts = [f'duplicate field "{field}"' for field in repeated]
        texts += [f'unknown field "{field}"' for field in unknown]
        if mode == "Strict":
            why = f"strict decoding error: {', '.join(texts)}"
            if patch:
                raise identities.unpatchable(call, why)
            raise undecodable(kind, call.target.version, why)
        pruned = body if read else schemas.pruned(call.model, call.target.version, body)
        return pruned, tuple(texts) if mode == "Warn" else ()

    def _delete(self, call: Call, key: ObjectKey, options: JsonObject) -> tuple[JsonObject, bool]:
        given = options.get("preconditions") or {}
        orphans = bool(options.get("orphanDependents"))
        return self._store.writes.deletions.delete(
            call.model,
            key,
            preconditions=Preconditions(given.get("uid") or "", given.get("resourceVersion") or ""),
            policy="Orphan" if orphans else _policy(options),
            dry_run=bool(options.get("dryRun")),
            admission=call.admission,
        )

    def _form(self, call: Call) -> Form:
        return Form.of(call.request, call.model.KIND, call.target.api_version, self._store.clock)

    def _in_request(self, call: Call, body: JsonObject) -> JsonObject:
        """A stored object in the version of the request. Raises `Unconverted`."""
        if call.conversion is not None:
            return call.conversion.converted(body, call.target.api_version)
        return conversions.shown(body, call.target.api_version)

    def _in_storage(self, call: Call, body: JsonObject) -> JsonObject:
        """A client's object in the storage version, if a webhook converts it. Raises `Unconverted`, `Invalid`."""
        if call.conversion is None or call.target.api_version == call.model.KIND.api_version:
            return body
        body = {**body, "apiVersion": call.target.api_version, "kind": call.model.KIND.kind}
        self._store.schemas.check_version(call.model, call.target.version, body)
        return call.conversion.converted(body, call.model.KIND.api_version)

    def _written(self, call: Call, body: JsonObject, status: int, warnings: tuple[str, ...] = ()) -> Answer | Reading:
        warnings = (*warnings, *(call.admission.warnings if call.admission else ()))
        if call.request.method != "DELETE":
            subresource = bool(call.target.subresource)
            warnings = (*warnings, *advice.warnings(self._store.storage, call.model, body, subresource=subresource))
        shown = Stored(call.key, body, int(body["metadata"].get("resourceVersion") or 0))
        form = self._form(call)
        return _reading(call, [shown], lambda: form.answer(shown, status, warnings))


def _reading(call: Call, objects: Sequence[Stored], show: Callable[[], _Shown]) -> _Shown | Reading:
    """What `show` returns, at once unless a webhook has to convert the objects before."""
    if call.conversion is None:
        return show()
    return Reading(call.conversion, objects, call.target.api_version, show)


def _unsupported(kind: Kind) -> ApiError:
    if is_built_in(kind.group):
        return UnsupportedMediaType("415: Unsupported Media Type")
    return bodies.unsupported("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")


def _policy(options: JsonObject) -> Policy:
    match options.get("propagationPolicy"):
        case "Foreground":
            return "Foreground"
        case "Orphan":
            return "Orphan"
        case _:
            return "Background"


def _selected(call: Call) -> Matches:
    query = call.request.query
    tests: list[Matches] = []
    if labels := query.get("labelSelector"):
        tests.append(label_selector(labels))
    if fields := query.get("fieldSelector"):
        tests.append(field_selector(fields, call.model.KIND))
    return lambda obj: all(test(obj) for test in tests)


def _named(obj: JsonObject, *, name: str, matches: Matches) -> bool:
    return obj["metadata"]["name"] == name and matches(obj)


def _object(value: Any) -> JsonObject:
    if not isinstance(value, dict):
        raise BadRequest(
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    return value
