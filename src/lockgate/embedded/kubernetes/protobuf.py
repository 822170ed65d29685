"""Decodes protobuf objects of kubectl's typed commands (`create secret`, `auth can-i`, …) to JSON.

These commands send only protobuf and have no fallback. An object is the magic ``k8s\\0``, then a `runtime.Unknown`
with the type's name and the message. The tables have the field numbers of `k8s.io/api/*/generated.proto`, for the
kinds that such commands create. Answers are JSON, which every client accepts.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from lockgate.embedded.kubernetes.exchange import UnsupportedMediaType
from lockgate.resources.model import JsonObject
from lockgate.resources.status import BadRequest

# Scalars. Go always writes plain fields, but pointers only if set. So a zero counts only for a pointer, written "…?".
STRING, BYTES, INT, BOOL, TIME, INT_OR_STRING = "string", "bytes", "int", "bool", "time", "intstr"
SET_INT, SET_BOOL = "int?", "bool?"


@dataclass(frozen=True, slots=True)
class Many:
    """A repeated field."""

    of: Type


@dataclass(frozen=True, slots=True)
class Mapped:
    """A map with string keys."""

    of: Type


# A message: JSON name and type by field number. A field without a name is inlined into the outer message.
Table: TypeAlias = "dict[int, tuple[str, Type]]"
Type: TypeAlias = "str | Many | Mapped | Table"

_STRINGS = Many(STRING)
_OWNER: Table = {
    1: ("kind", STRING),
    3: ("name", STRING),
    4: ("uid", STRING),
    5: ("apiVersion", STRING),
    6: ("controller", SET_BOOL),
    7: ("blockOwnerDeletion", SET_BOOL),
}
_META: Table = {
    1: ("name", STRING),
    2: ("generateName", STRING),
    3: ("namespace", STRING),
    4: ("selfLink", STRING),
    5: ("uid", STRING),
    6: ("resourceVersion", STRING),
    7: ("generation", INT),
    8: ("creationTimestamp", TIME),
    9: ("deletionTimestamp", TIME),
    10: ("deletionGracePeriodSeconds", SET_INT),
    11: ("labels", Mapped(STRING)),
    12: ("annotations", Mapped(STRING)),
    13: ("ownerReferences", Many(_OWNER)),
    14: ("finalizers", _STRINGS),
}
_LOCAL: Table = {1: ("name", STRING)}
_REFERENCE: Table = {
    1: ("kind", STRING),
    2: ("namespace", STRING),
    3: ("name", STRING),
    4: ("uid", STRING),
    5: ("apiVersion", STRING),
    6: ("resourceVersion", STRING),
    7: ("fieldPath", STRING),
}
_SERVICE_PORT: Table = {
    1: ("name", STRING),
    2: ("protocol", STRING),
    3: ("port", INT),
    4: ("targetPort", INT_OR_STRING),
    5: ("nodePort", INT),
    6: ("appProtocol", STRING),
}
_SERVICE: Table = {
    1: ("ports", Many(_SERVICE_PORT)),
    2: ("selector", Mapped(STRING)),
    3: ("clusterIP", STRING),
    4: ("type", STRING),
    5: ("externalIPs", _STRINGS),
    7: ("sessionAffinity", STRING),
    8: ("loadBalancerIP", STRING),
    9: ("loadBalancerSourceRanges", _STRINGS),
    10: ("externalName", STRING),
    11: ("externalTrafficPolicy", STRING),
    12: ("healthCheckNodePort", INT),
    13: ("publishNotReadyAddresses", BOOL),
    17: ("ipFamilyPolicy", STRING),
    18: ("clusterIPs", _STRINGS),
    19: ("ipFamilies", _STRINGS),
    20: ("allocateLoadBalancerNodePorts", SET_BOOL),
    21: ("loadBalancerClass", STRING),
    22: ("internalTrafficPolicy", STRING),
}
_BACKEND: Table = {
    3: ("resource", {1: ("apiGroup", STRING), 2: ("kind", STRING), 3: ("name", STRING)}),
    4: ("service", {1: ("name", STRING), 2: ("port", {1: ("name", STRING), 2: ("number", INT)})}),
}
_PATH: Table = {1: ("path", STRING), 2: ("backend", _BACKEND), 3: ("pathType", STRING)}
_INGRESS: Table = {
    1: ("defaultBackend", _BACKEND),
    2: ("tls", Many({1: ("hosts", _STRINGS), 2: ("secretName", STRING)})),
    3: ("rules", Many({1: ("host", STRING), 2: ("", {1: ("http", {1: ("paths", Many(_PATH))})})})),
    4: ("ingressClassName", STRING),
}
_RULE: Table = {
    1: ("verbs", _STRINGS),
    2: ("apiGroups", _STRINGS),
    3: ("resources", _STRINGS),
    4: ("resourceNames", _STRINGS),
    5: ("nonResourceURLs", _STRINGS),
}
_SUBJECT: Table = {1: ("kind", STRING), 2: ("apiGroup", STRING), 3: ("name", STRING), 4: ("namespace", STRING)}
_BINDING: Table = {
    1: ("metadata", _META),
    2: ("subjects", Many(_SUBJECT)),
    3: ("roleRef", {1: ("apiGroup", STRING), 2: ("kind", STRING), 3: ("name", STRING)}),
}
_CONTAINER: Table = {
    1: ("name", STRING),
    2: ("image", STRING),
    3: ("command", _STRINGS),
    4: ("args", _STRINGS),
    6: ("ports", Many({1: ("name", STRING), 2: ("hostPort", INT), 3: ("containerPort", INT), 4: ("protocol", STRING)})),
    7: ("env", Many({1: ("name", STRING), 2: ("value", STRING)})),
    14: ("imagePullPolicy", STRING),
}
_POD: Table = {2: ("containers", Many(_CONTAINER)), 3: ("restartPolicy", STRING), 8: ("serviceAccountName", STRING)}
_DEPLOYMENT: Table = {
    1: ("replicas", SET_INT),
    2: ("selector", {1: ("matchLabels", Mapped(STRING))}),
    3: ("template", {1: ("metadata", _META), 2: ("spec", _POD)}),
}
_RESOURCE_ATTRIBUTES: Table = {
    1: ("namespace", STRING),
    2: ("verb", STRING),
    3: ("group", STRING),
    4: ("version", STRING),
    5: ("resource", STRING),
    6: ("subresource", STRING),
    7: ("name", STRING),
}
_KINDS: dict[tuple[str, str], Table] = {
    ("v1", "Secret"): {
        1: ("metadata", _META),
        2: ("data", Mapped(BYTES)),
        3: ("type", STRING),
        4: ("stringData", Mapped(STRING)),
        5: ("immutable", SET_BOOL),
    },
    ("v1", "ConfigMap"): {
        1: ("metadata", _META),
        2: ("data", Mapped(STRING)),
        3: ("binaryData", Mapped(BYTES)),
        4: ("immutable", SET_BOOL),
    },
    ("v1", "Namespace"): {1: ("metadata", _META), 2: ("spec", {1: ("finalizers", _STRINGS)})},
    ("v1", "ServiceAccount"): {
        1: ("metadata", _META),
        2: ("secrets", Many(_REFERENCE)),
        3: ("imagePullSecrets", Many(_LOCAL)),
        4: ("automountServiceAccountToken", SET_BOOL),
    },
    ("v1", "Service"): {1: ("metadata", _META), 2: ("spec", _SERVICE)},
    ("networking.k8s.io/v1", "Ingress"): {1: ("metadata", _META), 2: ("spec", _INGRESS)},
    ("apps/v1", "Deployment"): {1: ("metadata", _META), 2: ("spec", _DEPLOYMENT)},
    ("rbac.authorization.k8s.io/v1", "Role"): {1: ("metadata", _META), 2: ("rules", Many(_RULE))},
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): {1: ("metadata", _META), 2: ("rules", Many(_RULE))},
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): _BINDING,
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): {
        1: ("metadata", _META),
        2: (
            "spec",
            {
                1: ("resourceAttributes", _RESOURCE_ATTRIBUTES),
                2: ("nonResourceAttributes", {1: ("path", STRING), 2: ("verb", STRING)}),
            },
        ),
    },
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"): {
        1: ("metadata", _META),
        2: ("spec", {1: ("namespace", STRING)}),
    },
    ("authentication.k8s.io/v1", "SelfSubjectReview"): {1: ("metadata", _META)},
    ("authentication.k8s.io/v1", "TokenRequest"): {
        1: ("metadata", _META),
        2: (
            "spec",
            {
                1: ("audiences", _STRINGS),
                3: (
                    "boundObjectRef",
                    {1: ("kind", STRING), 2: ("apiVersion", STRING), 3: ("name", STRING), 4: ("uid", STRING)},
                ),
                4: ("expirationSeconds", SET_INT),
            },
        ),
    },
    ("authentication.k8s.io/v1", "TokenReview"): {
        1: ("metadata", _META),
        2: ("spec", {1: ("token", STRING), 2: ("audiences", _STRINGS)}),
    },
}
_DELETE_OPTIONS: Table = {
    1: ("gracePeriodSeconds", SET_INT),
    2: ("preconditions", {1: ("uid", STRING), 2: ("resourceVersion", STRING)}),
    3: ("orphanDependents", SET_BOOL),
    4: ("propagationPolicy", STRING),
    5: ("dryRun", _STRINGS),
}
_MAGIC = b"k8s\0"
_UNKNOWN: Table = {1: ("type", {1: ("apiVersion", STRING), 2: ("kind", STRING)}), 2: ("raw", "raw")}


def decode(body: bytes) -> JsonObject:
    """Raises `UnsupportedMediaType` for a kind or a field without a table, `BadRequest` for invalid bytes."""
    if not body.startswith(_MAGIC):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = _message(memoryview(body)[len(_MAGIC) :], _UNKNOWN, "Unknown")
        api_version = envelope.get("type", {}).get("apiVersion", "")
        kind = envelope.get("type", {}).get("kind", "")
        table = _DELETE_OPTIONS if kind == "DeleteOptions" else _KINDS.get((api_version, kind))
        if table is None:
            raise _unsupported(api_version, kind)
        return {"apiVersion": api_version, "kind": kind, **_message(envelope.get("raw", b""), table, kind)}
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError) as error:
        raise BadRequest(f"unable to decode protobuf: {error}") from error


def _unsupported(api_version: str, what: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(
        f"{what} ({api_version or 'v1'}) cannot be read as protobuf here; add `--dry-run=client -o yaml` and pipe "
        "the result to `kubectl apply -f -`"
    )


def _message(data: Any, table: Table, what: str) -> JsonObject:
    result: JsonObject = {}
    for number, value in _wire(data):
        if number not in table:
            if what != "Unknown" and value not in (0, b""):  # Go writes empty parts, too; they have no meaning
                if isinstance(value, memoryview) and _is_empty(value):
                    continue
                raise _unsupported("", f"field {number} of {what}")
            continue
        name, of = table[number]
        match of:
            case Many(item):
                result.setdefault(name, []).append(_value(value, item, name))
            case Mapped(item):
                entry = _message(value, {1: ("key", STRING), 2: ("value", item)}, name)
                empty = "" if item in (STRING, BYTES) else {}
                result.setdefault(name, {})[entry.get("key", "")] = entry.get("value", empty)
            case _:
                found = _value(value, of, name)
                if name == "":
                    result.update(found)
                elif found not in ("", None, {}) and not (of in (INT, BOOL) and not found):
                    result[name] = found
    return result


def _value(value: Any, of: Type, name: str) -> Any:
    match of:
        case dict():
            return _message(value, of, name)
        case "raw":
            return value
        case "string":
            return bytes(value).decode()
        case "bytes":
            return base64.b64encode(bytes(value)).decode()
        case "int" | "int?":
            return value - (1 << 64) if value >= 1 << 63 else value
        case "bool" | "bool?":
            return bool(value)
        case "time":
            seconds = _message(value, {1: ("seconds", INT), 2: ("nanos", INT)}, name).get("seconds")
            return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None
        case "intstr":
            parts = _message(value, {1: ("type", INT), 2: ("number", INT), 3: ("text", STRING)}, name)
            return parts.get("text", "") if parts.get("type") == 1 else parts.get("number")
        case _:
            raise AssertionError(of)


def _is_empty(data: memoryview) -> bool:
    """Whether a message has only empty parts, which is how Go writes an unset struct."""
    try:
        return all(not value or (isinstance(value, memoryview) and _is_empty(value)) for _, value in _wire(data))
    except (IndexError, struct.error, BadRequest):
        return False


def _wire(data: Any) -> Iterator[tuple[int, Any]]:
    """Field numbers and raw values: ints, or views of bytes. Source: protobuf.dev "Encoding"."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        match wire_type:
            case 0:
                value, at = _varint(data, at)
                yield number, value
            case 1:
                yield number, struct.unpack_from("<Q", data, at)[0]
                at += 8
            case 2:
                size, at = _varint(data, at)
                if at + size > len(data):
                    raise BadRequest("unable to decode protobuf: unexpected EOF")
                yield number, memoryview(data)[at : at + size]
                at += size
            case 5:
                yield number, struct.unpack_from("<I", data, at)[0]
                at += 4
            case _:
                raise BadRequest(f"unable to decode protobuf: illegal wireType {wire_type}")


def _varint(data: Any, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
        if shift > 63:
            raise BadRequest("unable to decode protobuf: integer overflow")
