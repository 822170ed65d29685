"""Fields in the JSON of annotations that the controller does not know, and ignores.

Source: aws-load-balancer-controller `pkg/ingress/enhanced_backend_types.go`, `auth_config_builder.go`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.spec import PREFIX
from lockgate.resources import core, networking
from lockgate.resources.codes import rules as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.UNKNOWN_JSON_FIELD,)

Shape: TypeAlias = Mapping[str, Any]  # the known fields, each with the shape of what it holds; {} for anything

_VALUES: Final[Shape] = {"values": {}, "regexValues": {}}
_TUPLE: Final[Shape] = {"targetGroupARN": {}, "targetGroupName": {}, "serviceName": {}, "servicePort": {}, "weight": {}}
_STICKY: Final[Shape] = {"enabled": {}, "durationSeconds": {}}
_REDIRECT: Final[Shape] = {name: {} for name in ("host", "path", "port", "protocol", "query", "statusCode")}
_REWRITES: Final[Shape] = {"rewrites": {"regex": {}, "replace": {}}}
_LOGIN: Final[Shape] = {"authenticationRequestExtraParams": {}}
SHAPES: Final[Mapping[str, Shape]] = {
    a.ACTIONS.stem: {
        "type": {},
        "targetGroupARN": {},
        "targetGroupName": {},
        "fixedResponseConfig": {"contentType": {}, "messageBody": {}, "statusCode": {}},
        "redirectConfig": _REDIRECT,
        "forwardConfig": {"targetGroups": _TUPLE, "targetGroupStickinessConfig": _STICKY},
    },
    a.CONDITIONS.stem: {
        "field": {},
        "hostHeaderConfig": _VALUES,
        "httpHeaderConfig": {"httpHeaderName": {}, **_VALUES},
        "httpRequestMethodConfig": {"values": {}},
        "pathPatternConfig": _VALUES,
        "queryStringConfig": {"values": {"key": {}, "value": {}}},
        "sourceIPConfig": {"values": {}},
    },
    a.TRANSFORMS.stem: {"type": {}, "urlRewriteConfig": _REWRITES, "hostHeaderRewriteConfig": _REWRITES},
    a.AUTH_IDP_COGNITO.stem: {"userPoolARN": {}, "userPoolClientID": {}, "userPoolDomain": {}, **_LOGIN},
    a.AUTH_IDP_OIDC.stem: {
        "issuer": {},
        "authorizationEndpoint": {},
        "tokenEndpoint": {},
        "userInfoEndpoint": {},
        "secretName": {},
        **_LOGIN,
    },
    a.JWT_VALIDATION.stem: {
        "jwksEndpoint": {},
        "issuer": {},
        "additionalClaims": {"format": {}, "name": {}, "values": {}},
    },
    a.MUTUAL_AUTHENTICATION.stem: {
        "port": {},
        "mode": {},
        "trustStore": {},
        "ignoreClientCertificateExpiry": {},
        "advertiseTrustStoreCaNames": {},
    },
}


def analyze(edge: Edge) -> Iterator[Fault]:
    for each in (*edge.objects.all(networking.Ingress), *edge.objects.all(core.Service)):
        for key, text in each.metadata.annotations.items():
            shape = _shape(key)
            if shape is None:
                continue
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                continue  # reported when the load balancer is built
            for field, known in _unknown(value, shape):
                origin = Origin(each.key, ("metadata", "annotations", key))
                yield codes.UNKNOWN_JSON_FIELD.at(origin, field=field, known=f"it knows {', '.join(known)}")


def _shape(key: str) -> Shape | None:
    if not key.startswith(PREFIX):
        return None
    name = key.removeprefix(PREFIX)
    return SHAPES.get(name) or next(
        (each for stem, each in SHAPES.items() if stem[-1] == "." and name.startswith(stem)), None
    )


def _unknown(value: object, shape: Shape) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The unknown fields, each with the known ones beside it."""
    if not shape:
        return
    if isinstance(value, list):
        for item in value:
            yield from _unknown(item, shape)
    elif isinstance(value, dict):
        folded = {name.casefold(): inner for name, inner in shape.items()}
        for name, inner in value.items():
            if name.casefold() in folded:
                yield from _unknown(inner, folded[name.casefold()])
            else:
                yield name, tuple(shape)
