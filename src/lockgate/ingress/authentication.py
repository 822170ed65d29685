"""Authentication on HTTPS listeners before a backend: ``auth-*`` and ``jwt-validation``.

Source: aws-load-balancer-controller `pkg/ingress/auth_config_builder.go`, `model_build_actions.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.json_values import Fields, Node
from lockgate.ingress.annotations.values import trim_right
from lockgate.ingress.refusal import Refused
from lockgate.ingress.world import Name
from lockgate.loadbalancer.model import (
    AuthenticateCognito,
    AuthenticateOidc,
    JwtClaim,
    JwtValidation,
    PreAction,
)
from lockgate.resources import core, networking
from lockgate.resources.faults import Origin
from lockgate.resources.model import Resource


@dataclass(frozen=True, slots=True)
class Login:
    """The ``auth-*`` annotations of a backend. They are read for every listener; only HTTPS listeners use them."""

    kind: str
    cognito: CognitoProvider | None
    oidc: OidcProvider | None
    common: Mapping[str, Any]

    def action(self, namespace: str, secrets: Mapping[Name, core.Secret], label: str = "") -> PreAction | None:
        """Raises `Refused` if the provider or its Secret is missing. It must have `label`, unless that is ""."""
        match self.kind:
            case "cognito":
                if self.cognito is None:
                    raise Refused("missing IDPConfigCognito")
                provider = self.cognito
                return AuthenticateCognito(
                    user_pool_arn=provider.pool_arn,
                    user_pool_client_id=provider.client_id,
                    user_pool_domain=provider.domain,
                    extra_parameters=provider.extra_parameters,
                    **self.common,
                )
            case "oidc":
                if self.oidc is None:
                    raise Refused("missing IDPConfigOIDC")
                client_id, client_secret = _credentials(namespace, self.oidc.secret, secrets, label)
                return AuthenticateOidc(
                    issuer=self.oidc.issuer,
                    authorization_endpoint=self.oidc.authorization_endpoint,
                    token_endpoint=self.oidc.token_endpoint,
                    user_info_endpoint=self.oidc.user_info_endpoint,
                    client_id=client_id,
                    client_secret=client_secret,
                    extra_parameters=self.oidc.extra_parameters,
                    **self.common,
                )
            case _:
                return None


@dataclass(frozen=True, slots=True)
class CognitoProvider:
    pool_arn: str
    client_id: str
    domain: str
    extra_parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """`secret` names the Secret, in the Ingress's namespace, with the client's ID and secret."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    secret: str
    extra_parameters: Mapping[str, str]


def read_login(ingress: networking.Ingress, service: core.Service | None) -> Login:
    """Annotations on `service` override those on the Ingress. All are parsed, whatever the type."""
    resources: tuple[Resource, ...] = (service, ingress) if service else (ingress,)
    kind = a.AUTH_TYPE.read(*resources)
    if kind is None:
        kind = "none"
    if kind not in a.AUTH_TYPE.values:
        raise Refused(f"unknown authType: {kind}", Origin(ingress.key, a.AUTH_TYPE.path()))
    timeout = a.AUTH_SESSION_TIMEOUT.read(*resources)
    unauthenticated = a.AUTH_ON_UNAUTHENTICATED_REQUEST.read(*resources)
    scope, cookie = a.AUTH_SCOPE.read(*resources), a.AUTH_SESSION_COOKIE.read(*resources)
    return Login(
        kind,
        a.AUTH_IDP_COGNITO.parse(_read_cognito, *resources),
        a.AUTH_IDP_OIDC.parse(_read_oidc, *resources),
        {
            "on_unauthenticated_request": "authenticate" if unauthenticated is None else unauthenticated,
            "scope": "openid" if scope is None else scope,
            "session_cookie_name": "AWSELBAuthSessionCookie" if cookie is None else cookie,
            "session_timeout": 604800 if timeout is None else timeout,
        },
    )


def user_pool(resource: networking.Ingress | core.Service) -> CognitoProvider | None:
    """The user pool in this object's own annotation; None if it is absent or does not parse."""
    try:
        return a.AUTH_IDP_COGNITO.parse(_read_cognito, resource)
    except Refused:
        return None


def oidc_secret(ingress: networking.Ingress, service: core.Service | None) -> str | None:
    """The name of the Secret that the OIDC annotation references, for watches."""
    resources: tuple[Resource, ...] = (service, ingress) if service else (ingress,)
    try:
        provider = a.AUTH_IDP_OIDC.parse(_read_oidc, *resources)
    except Refused:
        return None
    return provider.secret if provider else None


def read_jwt_validation(root: Node) -> JwtValidation:
    fields = root.object("JwtValidationConfig")
    endpoint, issuer = fields["jwksEndpoint"].string(), fields["issuer"].string()
    if not endpoint:
        raise Refused("jwksEndpoint is a required field for jwt validation")
    if not issuer:
        raise Refused("issuer is a required field for jwt validation")
    claims = fields["additionalClaims"].items("[]ingress.JwtAdditionalClaim")
    return JwtValidation(endpoint, issuer, tuple(_claim(node.object("JwtAdditionalClaim")) for node in claims))


def _read_cognito(root: Node) -> CognitoProvider:
    fields = root.object("AuthIDPConfigCognito")
    return CognitoProvider(
        pool_arn=fields["userPoolARN"].string() or "",
        client_id=fields["userPoolClientID"].string() or "",
        domain=fields["userPoolDomain"].string() or "",
        extra_parameters=_extra(fields),
    )


def _read_oidc(root: Node) -> OidcProvider:
    fields = root.object("AuthIDPConfigOIDC")
    return OidcProvider(
        issuer=fields["issuer"].string() or "",
        authorization_endpoint=fields["authorizationEndpoint"].string() or "",
        token_endpoint=fields["tokenEndpoint"].string() or "",
        user_info_endpoint=fields["userInfoEndpoint"].string() or "",
        secret=fields["secretName"].string() or "",
        extra_parameters=_extra(fields),
    )


def _extra(fields: Fields) -> Mapping[str, str]:
    return {key: node.string() or "" for key, node in fields["authenticationRequestExtraParams"].entries()}


_CONTROL: Final = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0))))  # Unicode's Cc


def _credentials(namespace: str, name: str, secrets: Mapping[Name, core.Secret], label: str) -> tuple[str, str]:
    """The client's ID and secret, each right-trimmed: the ID of white space, the secret of control characters."""
    secret = secrets.get((namespace, name))
    if secret is None or not _has(secret, label):
        raise Refused(f'secrets "{name}" not found')
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
    return trim_right(client_id.decode("utf-8", "replace")), client_secret.decode("utf-8", "replace").rstrip(_CONTROL)


def _has(secret: core.Secret, label: str) -> bool:
    """`label` is ``key=value``, a key alone, or "" for any Secret."""
    key, equals, value = label.partition("=")
    labels = secret.metadata.labels
    return not label or (labels.get(key) == value if equals else key in labels)


def _claim(fields: Fields) -> JwtClaim:
    form, name = fields["format"].string(), fields["name"].string()
    if not form:
        raise Refused("format is a required field for additional claims for jwt validation")
    if not name:
        raise Refused("name is a required field for additional claims for jwt validation")
    values = fields["values"].strings()
    if not values:
        raise Refused("values must not be empty for additional claims for jwt validation")
    claim_format: Any = form  # passed on unchecked, as upstream; ELBv2 validates it
    return JwtClaim(name, claim_format, values)
