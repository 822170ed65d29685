"""``actions.*`` and the annotations that authenticate: JSON to actions.

Source: aws-load-balancer-controller `pkg/ingress/enhanced_backend_types.go`, `auth_config_builder.go`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lockgate.loadbalancer import annotations as a
from lockgate.loadbalancer.annotations_json import Fields, Node
from lockgate.loadbalancer.annotations_values import Malformed, read_int64, trim_right
from lockgate.loadbalancer.ingress.world import Name
from lockgate.loadbalancer.model import (
    AuthenticateCognito,
    AuthenticateOidc,
    FixedResponse,
    JwtClaim,
    JwtValidation,
    PreAction,
    Redirect,
)
from lockgate.loadbalancer.refusal import Refused
from lockgate.resources.kinds import Ingress, Secret, Service
from lockgate.resources.model import Resource


@dataclass(frozen=True, slots=True)
class ToService:
    service: str
    port: int | str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class ToArn:
    arn: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class ToName:
    """A target group that exists already, by its name."""

    name: str
    weight: int = 1


Destination: TypeAlias = ToService | ToArn | ToName


@dataclass(frozen=True, slots=True)
class ForwardTo:
    targets: tuple[Destination, ...]
    stickiness_seconds: int | None = None


BackendAction: TypeAlias = ForwardTo | Redirect | FixedResponse


def read_action(root: Node) -> BackendAction:
    fields = root.object("Action")
    match fields["type"].string() or "":
        case "forward":
            return _forward(fields)
        case "redirect":
            return _redirect(fields)
        case "fixed-response":
            return _fixed_response(fields)
        case unknown:
            raise Refused(f"unknown action type: {unknown}")


def authentication(ingress: Ingress, service: Service | None, secrets: Mapping[Name, Secret]) -> PreAction | None:
    """What the ``auth-*`` annotations ask for; those on `service` go before those on the Ingress."""
    resources: tuple[Resource, ...] = (service, ingress) if service else (ingress,)
    kind = a.AUTH_TYPE.read(*resources) or "none"
    if kind == "none":
        return None
    common: dict[str, Any] = {
        "on_unauthenticated_request": a.AUTH_ON_UNAUTHENTICATED_REQUEST.read(*resources) or "authenticate",
        "scope": a.AUTH_SCOPE.read(*resources) or "openid",
        "session_cookie_name": a.AUTH_SESSION_COOKIE.read(*resources) or "AWSELBAuthSessionCookie",
    }
    timeout = a.AUTH_SESSION_TIMEOUT.read(*resources)
    common["session_timeout"] = 604800 if timeout is None else timeout
    if kind == "cognito":
        cognito = a.AUTH_IDP_COGNITO.parse(_cognito(common), *resources)
        if cognito is None:
            raise Refused("missing IDPConfigCognito", subject=ingress.key, path=a.AUTH_TYPE.path())
        return cognito
    if kind != "oidc":
        raise Refused(f"unknown authType: {kind}", subject=ingress.key, path=a.AUTH_TYPE.path())
    idp = a.AUTH_IDP_OIDC.parse(_read_idp, *resources)
    if idp is None:
        raise Refused("missing IDPConfigOIDC", subject=ingress.key, path=a.AUTH_TYPE.path())
    client_id, client_secret = _credentials(ingress.namespace, idp.secret, secrets)
    return AuthenticateOidc(
        issuer=idp.issuer,
        authorization_endpoint=idp.authorization_endpoint,
        token_endpoint=idp.token_endpoint,
        user_info_endpoint=idp.user_info_endpoint,
        client_id=client_id,
        client_secret=client_secret,
        extra_parameters=idp.extra_parameters,
        **common,
    )


def oidc_secret(ingress: Ingress, service: Service | None) -> str | None:
    """The name of the Secret that the OIDC annotation refers to, for whoever must watch it."""
    resources: tuple[Resource, ...] = (service, ingress) if service else (ingress,)
    try:
        idp = a.AUTH_IDP_OIDC.parse(_read_idp, *resources)
    except Refused:
        return None
    return idp.secret if idp else None


def read_jwt_validation(root: Node) -> JwtValidation:
    fields = root.object("JwtValidationConfig")
    endpoint, issuer = fields["jwksEndpoint"].string(), fields["issuer"].string()
    if not endpoint:
        raise Refused("jwksEndpoint is a required field for jwt validation")
    if not issuer:
        raise Refused("issuer is a required field for jwt validation")
    claims = fields["additionalClaims"].items("[]ingress.JwtAdditionalClaim")
    return JwtValidation(endpoint, issuer, tuple(_claim(node.object("JwtAdditionalClaim")) for node in claims))


def _forward(fields: Fields) -> ForwardTo:
    arn, name = fields["targetGroupARN"].string(), fields["targetGroupName"].string()
    if arn is not None or name is not None:
        if not fields["forwardConfig"].is_null:
            raise Refused("either ForwardConfig or TargetGroupARN/TargetGroupName can be specified")
        return ForwardTo((ToArn(arn) if arn is not None else ToName(name or ""),))
    if fields["forwardConfig"].is_null:
        raise Refused("missing ForwardConfig or TargetGroupARN/TargetGroupName")
    config = fields["forwardConfig"].object("Action")
    entries = [node.object("Action") for node in config["targetGroups"].items("[]ingress.TargetGroupTuple")]
    if len(entries) > 1 and any(entry["weight"].is_null for entry in entries):
        raise Refused("invalid ForwardConfig: weight must be set when route to multiple target groups")
    return ForwardTo(tuple(_tuple(entry) for entry in entries), _stickiness(config["targetGroupStickinessConfig"]))


def _tuple(fields: Fields) -> Destination:
    arn, name = fields["targetGroupARN"].string(), fields["targetGroupName"].string()
    service = fields["serviceName"].string()
    given = fields["weight"].integer()
    weight = 1 if given is None else given
    prefix = "invalid ForwardConfig: invalid TargetGroupTuple: "
    if arn is None and name is None and service is None:
        raise Refused(prefix + "missing serviceName or targetGroupARN/targetGroupName")
    if service is None:
        return ToArn(arn, weight) if arn is not None else ToName(name or "", weight)
    if arn is not None or name is not None:
        raise Refused(prefix + "either serviceName or targetGroupARN/targetGroupName can be specified")
    port = fields["servicePort"].int_or_string()
    if port is None:
        raise Refused(prefix + "missing servicePort")
    return ToService(service, _as_number(port), weight)


def _as_number(port: int | str) -> int | str:
    """``"80"`` is 80: a port's name cannot be all digits."""
    if isinstance(port, int):
        return port
    try:
        return read_int64(port)
    except Malformed:
        return port


def _stickiness(node: Node) -> int | None:
    if node.is_null:
        return None
    config = node.object("TargetGroupStickinessConfig")
    if not config["enabled"].boolean():
        return None
    return config["durationSeconds"].integer() or 0  # ELBv2 refuses 0 in its own words


def _redirect(fields: Fields) -> Redirect:
    if fields["redirectConfig"].is_null:
        raise Refused("missing RedirectConfig")
    config = fields["redirectConfig"].object("Action")
    code = config["statusCode"].string()
    if not code:
        raise Refused("invalid RedirectConfig: statusCode is required")
    given = {name: config[name].string() for name in ("protocol", "host", "port", "path", "query")}
    texts: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return Redirect(status_code=_as_written(code), **texts)


def _fixed_response(fields: Fields) -> FixedResponse:
    if fields["fixedResponseConfig"].is_null:
        raise Refused("missing FixedResponseConfig")
    config = fields["fixedResponseConfig"].object("Action")
    code = config["statusCode"].string()
    if not code:
        raise Refused("invalid FixedResponseConfig: statusCode is required")
    return FixedResponse(code, config["contentType"].string(), config["messageBody"].string())


@dataclass(frozen=True, slots=True)
class _Idp:
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    secret: str
    extra_parameters: Mapping[str, str]


def _read_idp(root: Node) -> _Idp:
    fields = root.object("AuthIDPConfigOIDC")
    return _Idp(
        issuer=fields["issuer"].string() or "",
        authorization_endpoint=fields["authorizationEndpoint"].string() or "",
        token_endpoint=fields["tokenEndpoint"].string() or "",
        user_info_endpoint=fields["userInfoEndpoint"].string() or "",
        secret=fields["secretName"].string() or "",
        extra_parameters=_extra(fields),
    )


def _cognito(common: Mapping[str, Any]) -> Callable[[Node], AuthenticateCognito]:
    def read(root: Node) -> AuthenticateCognito:
        fields = root.object("AuthIDPConfigCognito")
        return AuthenticateCognito(
            user_pool_arn=fields["userPoolARN"].string() or "",
            user_pool_client_id=fields["userPoolClientID"].string() or "",
            user_pool_domain=fields["userPoolDomain"].string() or "",
            extra_parameters=_extra(fields),
            **common,
        )

    return read


def _extra(fields: Fields) -> Mapping[str, str]:
    return {key: node.string() or "" for key, node in fields["authenticationRequestExtraParams"].entries()}


def _credentials(namespace: str, name: str, secrets: Mapping[Name, Secret]) -> tuple[str, str]:
    """Client id and secret. Each is trimmed at its end: the id of space, the secret of control characters."""
    secret = secrets.get((namespace, name))
    if secret is None:
        raise Refused(f'Secret "{name}" not found')
    try:
        data = secret.decoded
    except ValueError:
        raise Refused(f"failed to decode secret {namespace}/{name}") from None
    client_id = data.get("clientID", data.get("clientId"))
    client_secret = data.get("clientSecret")
    if client_id is None:
        raise Refused(f"missing clientID, secret: {namespace}/{name}")
    if client_secret is None:
        raise Refused(f"missing clientSecret, secret: {namespace}/{name}")
    text = client_secret.decode("utf-8", "replace")
    while text and unicodedata.category(text[-1]) == "Cc":
        text = text[:-1]
    return trim_right(client_id.decode("utf-8", "replace")), text


def _claim(fields: Fields) -> JwtClaim:
    form, name = fields["format"].string(), fields["name"].string()
    if not form:
        raise Refused("format is a required field for additional claims for jwt validation")
    if not name:
        raise Refused("name is a required field for additional claims for jwt validation")
    values = fields["values"].strings()
    if not values:
        raise Refused("values must not be empty for additional claims for jwt validation")
    return JwtClaim(name, _as_written(form), values)


def _as_written(text: str) -> Any:
    """Values that the controller passes on unchecked: ELBv2 refuses those it does not know."""
    return text
