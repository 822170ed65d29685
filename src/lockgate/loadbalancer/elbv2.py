"""Reads ELBv2 API responses into `LoadBalancer` values. The data plane serves exactly what the API describes.

The input has the shape of boto3's ``describe_*`` responses. A condition or action that the model cannot express raises
`UnknownShape`. `elbv2_network` reads Network Load Balancers.

Source: ELBv2 API reference, "Actions" and "Data types".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lockgate.loadbalancer.model import (
    Action,
    AuthenticateCognito,
    AuthenticateOidc,
    Condition,
    FixedResponse,
    Forward,
    HealthCheck,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    JwtClaim,
    JwtValidation,
    Listener,
    LoadBalancer,
    MutualAuthentication,
    PathPattern,
    QueryPair,
    QueryString,
    Redirect,
    Rewrite,
    Rule,
    SourceIp,
    Target,
    TargetGroup,
    WeightedTargetGroup,
)

Json: TypeAlias = Mapping[str, Any]  # an API response, untyped until it becomes a value


class UnknownShape(ValueError):
    """The API returned a shape that this reader does not support; `arn` is the resource that has it."""

    def __init__(self, arn: str, what: str) -> None:
        super().__init__(f"{arn}: {what}")
        self.arn = arn
        self.what = what


@dataclass(frozen=True, slots=True)
class Answers:
    """One set of API responses. Mappings go from the owner's ARN to the items of the response."""

    load_balancers: Sequence[Json] = ()
    load_balancer_attributes: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    listeners: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    listener_attributes: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    listener_certificates: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    rules: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    target_groups: Sequence[Json] = ()
    target_group_attributes: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    target_health: Mapping[str, Sequence[Json]] = field(default_factory=dict)


def is_application(answer: Json) -> bool:
    return str(answer.get("Type", "application")) == "application"


def load_balancer(answer: Json, groups: Mapping[str, TargetGroup], answers: Answers) -> LoadBalancer:
    """One load balancer, with those of `groups` that its actions reference. Raises `UnknownShape`."""
    arn = answer["LoadBalancerArn"]
    listeners = tuple(
        sorted(
            (_listener(item, answers) for item in answers.listeners.get(arn, ())),
            key=lambda listener: listener.port,
        )
    )
    return LoadBalancer(
        name=answer["LoadBalancerName"],
        listeners=listeners,
        target_groups={reference: groups[reference] for reference in referred(listeners) if reference in groups},
        scheme=answer.get("Scheme", "internet-facing"),
        ip_address_type=answer.get("IpAddressType", "ipv4"),
        security_groups=tuple(answer.get("SecurityGroups", ())),
        subnets=tuple(zone["SubnetId"] for zone in answer.get("AvailabilityZones", ()) if "SubnetId" in zone),
        attributes=attributes_of(answers.load_balancer_attributes.get(arn, ())),
        arn=arn,
        dns_name=answer.get("DNSName", ""),
        canonical_hosted_zone_id=answer.get("CanonicalHostedZoneId", ""),
    )


def target_group(answer: Json, answers: Answers) -> TargetGroup:
    """A target group with its registered targets. Draining targets are no longer registered."""
    arn = answer["TargetGroupArn"]
    port = int(answer.get("Port", 0))
    targets = tuple(
        Target(
            id=item["Target"]["Id"],
            port=int(item["Target"].get("Port") or port),
            availability_zone=item["Target"].get("AvailabilityZone", ""),
        )
        for item in answers.target_health.get(arn, ())
        if item.get("TargetHealth", {}).get("Reason") not in ("Target.DeregistrationInProgress", "Target.NotRegistered")
    )
    return TargetGroup(
        reference=arn,
        name=answer["TargetGroupName"],
        port=port,
        protocol=answer.get("Protocol", "HTTP"),
        protocol_version=answer.get("ProtocolVersion") or "HTTP1",
        target_type=answer.get("TargetType") or "instance",
        ip_address_type=answer.get("IpAddressType") or "ipv4",
        health_check=_health_check(answer),
        attributes=attributes_of(answers.target_group_attributes.get(arn, ())),
        targets=tuple(dict.fromkeys(targets)),
        vpc_id=answer.get("VpcId", ""),
        control_port=answer.get("TargetControlPort"),
    )


def referred(listeners: Iterable[Listener]) -> tuple[str, ...]:
    """The target groups that actions forward to, in order, without duplicates."""
    return tuple(
        dict.fromkeys(
            weighted.target_group
            for listener in listeners
            for actions in (listener.default_actions, *(rule.actions for rule in listener.rules))
            for action in actions
            if isinstance(action, Forward)
            for weighted in action.target_groups
        )
    )


def _health_check(answer: Json) -> HealthCheck:
    default = HealthCheck()
    matcher = answer.get("Matcher") or {}
    grpc = answer.get("ProtocolVersion") == "GRPC"
    path, codes = ("/AWS.ALB/healthcheck" if grpc else default.path), ("12" if grpc else default.matcher)
    if answer.get("HealthCheckProtocol") == "TCP":
        path = codes = ""
    return HealthCheck(
        protocol=answer.get("HealthCheckProtocol") or default.protocol,
        port=str(answer.get("HealthCheckPort") or default.port),
        path=answer.get("HealthCheckPath") or path,
        interval_seconds=int(answer.get("HealthCheckIntervalSeconds") or default.interval_seconds),
        timeout_seconds=int(answer.get("HealthCheckTimeoutSeconds") or default.timeout_seconds),
        healthy_threshold_count=int(answer.get("HealthyThresholdCount") or default.healthy_threshold_count),
        unhealthy_threshold_count=int(answer.get("UnhealthyThresholdCount") or default.unhealthy_threshold_count),
        matcher=matcher.get("GrpcCode" if grpc else "HttpCode") or codes,
        enabled=answer.get("HealthCheckEnabled") is not False,
    )


def _listener(answer: Json, answers: Answers) -> Listener:
    arn = answer["ListenerArn"]
    rules = [item for item in answers.rules.get(arn, ()) if item["Priority"] != "default"]
    return Listener(
        port=int(answer["Port"]),
        protocol=answer["Protocol"],
        default_actions=actions_of(arn, answer.get("DefaultActions", ())),
        rules=tuple(sorted((_rule(item) for item in rules), key=lambda rule: rule.priority)),
        certificates=certificates_of(answer, answers),
        ssl_policy=answer.get("SslPolicy", ""),
        mutual_authentication=_mutual_authentication(answer.get("MutualAuthentication")),
        attributes=attributes_of(answers.listener_attributes.get(arn, ())),
        arn=arn,
    )


def certificates_of(listener: Json, answers: Answers) -> tuple[str, ...]:
    """A listener's certificates, the default first."""
    default = [item["CertificateArn"] for item in listener.get("Certificates", ()) if item.get("CertificateArn")]
    others = [item["CertificateArn"] for item in answers.listener_certificates.get(listener["ListenerArn"], ())]
    return tuple(dict.fromkeys(default + others))


def _mutual_authentication(answer: Json | None) -> MutualAuthentication | None:
    if not answer or answer.get("Mode", "off") == "off":
        return None
    return MutualAuthentication(
        mode=answer["Mode"],
        trust_store=answer.get("TrustStoreArn", ""),
        ignore_client_certificate_expiry=bool(answer.get("IgnoreClientCertificateExpiry")),
        advertise_trust_store_ca_names=answer.get("AdvertiseTrustStoreCaNames") == "on",
    )


def _rule(answer: Json) -> Rule:
    arn = answer["RuleArn"]
    return Rule(
        priority=int(answer["Priority"]),
        conditions=tuple(_condition(arn, item) for item in answer.get("Conditions", ())),
        actions=actions_of(arn, answer.get("Actions", ())),
        transforms=tuple(
            rewrite
            for number, item in enumerate(answer.get("Transforms") or ())
            for rewrite in _transform(arn, item, number)
        ),
        arn=arn,
    )


def _transform(arn: str, answer: Json, number: int) -> Iterable[Rewrite]:
    match answer.get("Type"):
        case "host-header-rewrite":
            for item in answer["HostHeaderRewriteConfig"].get("Rewrites", ()):
                yield Rewrite("host-header", item["Regex"], item.get("Replace", ""), number)
        case "url-rewrite":
            for item in answer["UrlRewriteConfig"].get("Rewrites", ()):
                yield Rewrite("url", item["Regex"], item.get("Replace", ""), number)
        case other:
            raise UnknownShape(arn, f"transform of type {other!r}")


def _condition(arn: str, answer: Json) -> Condition:
    """Accepts the short form (``Values`` beside ``Field``) and the long form (``PathPatternConfig``)."""
    short = tuple(answer.get("Values") or ())
    match answer.get("Field"):
        case "host-header":
            config = answer.get("HostHeaderConfig") or {}
            return HostHeader(tuple(config.get("Values") or short), _regexes(answer, config))
        case "path-pattern":
            config = answer.get("PathPatternConfig") or {}
            return PathPattern(tuple(config.get("Values") or short), _regexes(answer, config))
        case "http-header":
            config = answer["HttpHeaderConfig"]
            return HttpHeader(config["HttpHeaderName"], tuple(config.get("Values") or short), _regexes(answer, config))
        case "http-request-method":
            config = answer.get("HttpRequestMethodConfig") or {}
            return HttpRequestMethod(tuple(config.get("Values") or short))
        case "query-string":
            pairs = answer["QueryStringConfig"].get("Values") or ()
            return QueryString(tuple(QueryPair(pair.get("Value") or "", pair.get("Key") or None) for pair in pairs))
        case "source-ip":
            config = answer.get("SourceIpConfig") or {}
            return SourceIp(tuple(config.get("Values") or short))
        case other:
            raise UnknownShape(arn, f"condition on {other!r}")


def _regexes(answer: Json, config: Json) -> tuple[str, ...]:
    return tuple(config.get("RegexValues") or answer.get("RegexValues") or ())


def actions_of(arn: str, answer: Iterable[Json]) -> tuple[Action, ...]:
    """Actions in their order; `arn` is their owner. Raises `UnknownShape`."""
    return tuple(_action(arn, item) for item in sorted(answer, key=lambda item: int(item.get("Order") or 0)))


def _action(arn: str, answer: Json) -> Action:
    match answer.get("Type"):
        case "forward":
            return _forward(answer)
        case "redirect":
            return _redirect(answer["RedirectConfig"])
        case "fixed-response":
            config = answer["FixedResponseConfig"]
            return FixedResponse(
                status_code=str(config["StatusCode"]),
                content_type=config.get("ContentType"),
                message_body=config.get("MessageBody"),
            )
        case "authenticate-oidc":
            config = answer["AuthenticateOidcConfig"]
            return AuthenticateOidc(
                issuer=config["Issuer"],
                authorization_endpoint=config["AuthorizationEndpoint"],
                token_endpoint=config["TokenEndpoint"],
                user_info_endpoint=config["UserInfoEndpoint"],
                client_id=config["ClientId"],
                client_secret=config.get("ClientSecret") or "",
                **_session(config),
            )
        case "authenticate-cognito":
            config = answer["AuthenticateCognitoConfig"]
            return AuthenticateCognito(
                user_pool_arn=config["UserPoolArn"],
                user_pool_client_id=config["UserPoolClientId"],
                user_pool_domain=config["UserPoolDomain"],
                **_session(config),
            )
        case "jwt-validation":
            config = answer["JwtValidationConfig"]
            return JwtValidation(
                jwks_endpoint=config["JwksEndpoint"],
                issuer=config["Issuer"],
                additional_claims=tuple(
                    JwtClaim(claim["Name"], claim["Format"], tuple(claim["Values"]))
                    for claim in config.get("AdditionalClaims") or ()
                ),
            )
        case other:
            raise UnknownShape(arn, f"action of type {other!r}")


def _session(config: Json) -> dict[str, Any]:
    return {
        "session_cookie_name": config.get("SessionCookieName") or "AWSELBAuthSessionCookie",
        "scope": config.get("Scope") or "openid",
        "session_timeout": int(config.get("SessionTimeout") or 604800),
        "extra_parameters": dict(config.get("AuthenticationRequestExtraParams") or {}),
        "on_unauthenticated_request": config.get("OnUnauthenticatedRequest") or "authenticate",
    }


def _forward(answer: Json) -> Forward:
    """A bare `TargetGroupArn` is the older form of one target group with weight 1."""
    config = answer.get("ForwardConfig") or {}
    groups = config.get("TargetGroups") or [{"TargetGroupArn": answer["TargetGroupArn"]}]
    sticky = config.get("TargetGroupStickinessConfig") or {}
    return Forward(
        target_groups=tuple(
            WeightedTargetGroup(group["TargetGroupArn"], _weight(group.get("Weight"))) for group in groups
        ),
        stickiness_seconds=int(sticky.get("DurationSeconds") or 3600) if _true(sticky.get("Enabled")) else None,
    )


def _weight(answer: object) -> int:
    return 1 if answer is None else int(str(answer))


def _true(answer: object) -> bool:
    return answer is True or str(answer).lower() == "true"


def _redirect(config: Json) -> Redirect:
    default = Redirect(config["StatusCode"])
    return Redirect(
        status_code=config["StatusCode"],
        protocol=config.get("Protocol") or default.protocol,
        host=config.get("Host") or default.host,
        port=str(config.get("Port") or default.port),
        path=config.get("Path") or default.path,
        query=default.query if config.get("Query") is None else config["Query"],
    )


def attributes_of(answer: Iterable[Json]) -> dict[str, str]:
    return {item["Key"]: item.get("Value") or "" for item in answer}
