"""Conversion of users' kinds between their versions, by webhook.

An object is stored in the version that was the storage version when it was written, and is read in any. What was
converted is kept with each revision of an object, so watches and repeated reads ask once. A write in another version is
checked in that version, converted, and stored; `Unconverted` interrupts it, like `Question` of admission.

Source: apiextensions-apiserver `pkg/apiserver/conversion/webhook_converter.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from lockgate.embedded.kubernetes.exchange import Answer, Listing, encoded
from lockgate.embedded.kubernetes.history import Stored
from lockgate.embedded.kubernetes.hooks import Hooks, Unreachable
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.resources.model import JsonObject, Kind, ObjectKey
from lockgate.resources.status import Unclassified

_SECONDS: Final = 30
_VERSIONS: Final = ("v1", "v1beta1")


class Unconverted(Exception):
    """A client's object has to be converted before it can be written."""

    def __init__(self, body: JsonObject, api_version: str) -> None:
        super().__init__(api_version)
        self.body, self.api_version = body, api_version


@dataclass(frozen=True, slots=True)
class Reading:
    """Objects that are converted before `then` shows them."""

    conversion: Conversion
    objects: Sequence[Stored]
    api_version: str
    then: Callable[[], Answer | Listing]

    async def answer(self) -> Answer | Listing:
        await self.conversion.prepare(self.objects, self.api_version)
        return self.then()


class ConversionWebhooks:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._hooks = Hooks(storage)

    def of(self, kind: Kind) -> Conversion | None:
        """The conversion of a kind for one request; None unless its definition has a webhook."""
        name = f"{kind.plural}.{kind.group}"
        stored = self._storage.get(ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", name))
        conversion = (stored.json["spec"].get("conversion") or {}) if stored else {}
        if conversion.get("strategy") != "Webhook":
            return None
        return Conversion(kind, conversion.get("webhook") or {}, self._hooks)


@dataclass(slots=True)
class Conversion:
    """`known` are the client's objects that have been converted for this request."""

    kind: Kind
    webhook: JsonObject
    hooks: Hooks
    known: dict[bytes, JsonObject] = field(default_factory=dict)

    def converted(self, body: JsonObject, api_version: str) -> JsonObject:
        """A client's object in another version. Raises `Unconverted`."""
        if body.get("apiVersion") == api_version:
            return body
        found = self.known.get(_key(body, api_version))
        if found is None:
            raise Unconverted(body, api_version)
        return found

    async def ask(self, needed: Unconverted) -> None:
        (found,) = await self._asked([needed.body], needed.api_version)
        self.known[_key(needed.body, needed.api_version)] = found

    async def prepare(self, objects: Iterable[Stored], api_version: str) -> None:
        """Converts stored objects. Raises `Unclassified`."""
        missing = [each for each in objects if not each.is_in(api_version)]
        if missing:
            bodies = await self._asked([each.json for each in missing], api_version)
            for each, body in zip(missing, bodies, strict=True):
                each.convert(api_version, body)

    async def _asked(self, objects: list[JsonObject], api_version: str) -> list[JsonObject]:
        uid = str(uuid4())
        offered = self.webhook.get("conversionReviewVersions") or ()
        version = next((each for each in offered if each in _VERSIONS), "v1")
        request = {"uid": uid, "desiredAPIVersion": api_version, "objects": objects}
        review = {"kind": "ConversionReview", "apiVersion": f"apiextensions.k8s.io/{version}", "request": request}
        of = f"conversion webhook for {objects[0]['apiVersion']}, Kind={self.kind.kind}"
        try:
            answer = await self.hooks.post(self.webhook.get("clientConfig") or {}, review, _SECONDS)
            found = _objects(answer, review, uid)
        except (Unreachable, _Refused) as error:
            raise Unclassified(f"{of} failed: {error}") from error
        if len(found) != len(objects):
            raise Unclassified(f"{of} returned {len(found)} objects, expected {len(objects)}")
        try:
            return [_checked(before, after, api_version) for before, after in zip(objects, found, strict=True)]
        except _Refused as error:
            raise Unclassified(f"{of} returned invalid {error}") from error


class _Refused(Exception):
    """What is wrong with the answer of a webhook."""


def _key(body: JsonObject, api_version: str) -> bytes:
    return encoded([api_version, body])


def _objects(answer: object, review: JsonObject, uid: str) -> list[Any]:
    """The converted objects of an answer. Raises `_Refused`."""
    given: dict[str, Any] = answer if isinstance(answer, dict) else {}
    version = review["apiVersion"]
    if version.endswith("/v1") and (given.get("apiVersion"), given.get("kind")) != (version, review["kind"]):
        group, _, kind = str(given.get("apiVersion", "")), None, given.get("kind", "")
        raise _Refused(f"expected webhook response of {version}, Kind=ConversionReview, got {group}, Kind={kind}")
    response = given.get("response")
    if not isinstance(response, dict):
        raise _Refused("no response provided")
    if version.endswith("/v1") and response.get("uid") != uid:
        raise _Refused(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise _Refused(
            result.get("message") or f"response.result.status was '{result.get('status', '')}', not 'Success'"
        )
    found = response.get("convertedObjects") or []
    return found if isinstance(found, list) else []


def _checked(before: JsonObject, after: Any, api_version: str) -> JsonObject:
    """What a webhook may change: everything but the metadata, and of that labels and annotations. Raises `_Refused`."""
    if not isinstance(after, dict) or after.get("apiVersion") != api_version:
        got = after.get("apiVersion", "") if isinstance(after, dict) else ""
        raise _Refused(f"object at index 0: invalid groupVersion (expected {api_version}, received {got})")
    if after.get("kind") != before.get("kind"):
        raise _Refused(
            f"object at index 0: invalid kind (expected {before.get('kind')}, received {after.get('kind', '')})"
        )
    metadata = after.get("metadata")
    if not isinstance(metadata, dict):
        raise _Refused("metadata: missing metadata in converted object")
    own = before.get("metadata") or {}
    for name, shown in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        if own.get(name, "") != metadata.get(name, ""):
            raise _Refused(f"object: must have the same {shown}: {own.get(name, '')} != {metadata.get(name, '')}")
    kept = {name: value for name, value in own.items() if name not in ("labels", "annotations")}
    for name in ("labels", "annotations"):
        value = metadata.get(name)
        if value is None:
            continue
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise _Refused(f"metadata: metadata.{name} must be strings in converted object")
        kept[name] = value
    return {**after, "metadata": kept}
