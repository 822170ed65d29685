"""Values in the shapes of ELBv2's API: the parameters of its calls, and the output of `show`.

`elbv2` reads the other direction. `arn` resolves references to target groups.

Source: ELBv2 API reference, "Data types".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, assert_never

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
    JwtValidation,
    MutualAuthentication,
    PathPattern,
    QueryString,
    Redirect,
    Rewrite,
    SourceIp,
    TargetGroup,
)
from lockgate.loadbalancer.network import SubnetMapping

Json: TypeAlias = dict[str, Any]
Resolve: TypeAlias = Callable[[str], str]


def actions(items: Iterable[Action], arn: Resolve) -> list[Json]:
    return [action(item, arn) | {"Order": order} for order, item in enumerate(items, 1)]


def action(item: Action, arn: Resolve) -> Json:
    match item:
        case Forward(target_groups, stickiness):
            config: Json = {
                "TargetGroups": [
                    {"TargetGroupArn": arn(group.target_group), "Weight": group.weight} for group in target_groups
                ]
            }
            if stickiness is not None:
                config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": stickiness}
            return {"Type": "forward", "ForwardConfig": config}
        case Redirect():
            return {
                "Type": "redirect",
                "RedirectConfig": {
                    "Protocol": item.protocol,
                    "Host": item.host,
                    "Port": item.port,
                    "Path": item.path,
                    "Query": item.query,
                    "StatusCode": item.status_code,
                },
            }
        case FixedResponse(code, content_type, body):
            response = {"StatusCode": code, "ContentType": content_type, "MessageBody": body}
            return {"Type": "fixed-response", "FixedResponseConfig": _given(response)}
        case AuthenticateOidc():
            return {
                "Type": "authenticate-oidc",
                "AuthenticateOidcConfig": _given(
                    {
                        "Issuer": item.issuer,
                        "AuthorizationEndpoint": item.authorization_endpoint,
                        "TokenEndpoint": item.token_endpoint,
                        "UserInfoEndpoint": item.user_info_endpoint,
                        "ClientId": item.client_id,
                        "ClientSecret": item.client_secret or None,
                    }
                )
                | _session(item),
            }
        case AuthenticateCognito():
            return {
                "Type": "authenticate-cognito",
                "AuthenticateCognitoConfig": {
                    "UserPoolArn": item.user_pool_arn,
                    "UserPoolClientId": item.user_pool_client_id,
                    "UserPoolDomain": item.user_pool_domain,
                }
                | _session(item),
            }
        case JwtValidation(endpoint, issuer, claims):
            jwt: Json = {"JwksEndpoint": endpoint, "Issuer": issuer}
            if claims:
                jwt["AdditionalClaims"] = [
                    {"Name": claim.name, "Format": claim.format, "Values": list(claim.values)} for claim in claims
                ]
            return {"Type": "jwt-validation", "JwtValidationConfig": jwt}
        case _:
            assert_never(item)


def condition(item: Condition) -> Json:
    match item:
        case HostHeader(values, regexes):
            return {"Field": "host-header", "HostHeaderConfig": _values(values, regexes)}
        case PathPattern(values, regexes):
            return {"Field": "path-pattern", "PathPatternConfig": _values(values, regexes)}
        case HttpHeader(name, values, regexes):
            config = {"HttpHeaderName": name} | _values(values, regexes)
            return {"Field": "http-header", "HttpHeaderConfig": config}
        case HttpRequestMethod(values):
            return {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": list(values)}}
        case QueryString(pairs):
            found = [_given({"Key": pair.key, "Value": pair.value}) for pair in pairs]
            return {"Field": "query-string", "QueryStringConfig": {"Values": found}}
        case SourceIp(values):
            return {"Field": "source-ip", "SourceIpConfig": {"Values": list(values)}}
        case _:
            assert_never(item)


def transforms(items: Iterable[Rewrite]) -> list[Json]:
    """Rewrites grouped into their transforms."""
    found: dict[tuple[int, str], list[Json]] = {}
    for item in items:
        rewrite = {"Regex": item.regex, "Replace": item.replace}
        found.setdefault((item.transform, item.target), []).append(rewrite)
    configs = {"url": "UrlRewriteConfig", "host-header": "HostHeaderRewriteConfig"}
    return [
        {"Type": f"{target}-rewrite", configs[target]: {"Rewrites": rewrites}}
        for (_, target), rewrites in found.items()
    ]


def health_check(check: HealthCheck, *, grpc: bool) -> Json:
    """The health check's parameters of CreateTargetGroup and ModifyTargetGroup."""
    answer = {"HealthCheckPath": check.path, "Matcher": {"GrpcCode" if grpc else "HttpCode": check.matcher}}
    return {
        "HealthCheckProtocol": check.protocol,
        "HealthCheckPort": check.port,
        **({} if check.protocol == "TCP" else answer),
        "HealthCheckIntervalSeconds": check.interval_seconds,
        "HealthCheckTimeoutSeconds": check.timeout_seconds,
        "HealthyThresholdCount": check.healthy_threshold_count,
        "UnhealthyThresholdCount": check.unhealthy_threshold_count,
    }


def target_group(group: TargetGroup) -> Json:
    """The parameters of CreateTargetGroup, without tags."""
    return {
        "Name": group.name,
        "Protocol": group.protocol,
        **({"ProtocolVersion": group.protocol_version} if group.protocol in ("HTTP", "HTTPS") else {}),
        "Port": group.port,
        **({"VpcId": group.vpc_id} if group.vpc_id else {}),
        **health_check(group.health_check, grpc=group.protocol_version == "GRPC"),
        "HealthCheckEnabled": True,
        "TargetType": group.target_type,
        "IpAddressType": group.ip_address_type,
        **({"TargetControlPort": group.control_port} if group.control_port is not None else {}),
    }


def subnet_mappings(items: Iterable[SubnetMapping]) -> list[Json]:
    return [
        _given(
            {
                "SubnetId": item.subnet or None,
                "AllocationId": item.allocation_id or None,
                "PrivateIPv4Address": item.private_ipv4_address or None,
                "IPv6Address": item.ipv6_address or None,
            }
        )
        for item in items
    ]


def mutual_authentication(value: MutualAuthentication) -> Json:
    found: Json = {"Mode": value.mode}
    if value.mode == "verify":
        found["TrustStoreArn"] = value.trust_store
        found["IgnoreClientCertificateExpiry"] = value.ignore_client_certificate_expiry
        if value.advertise_trust_store_ca_names:
            found["AdvertiseTrustStoreCaNames"] = "on"
    return found


def attributes(values: Mapping[str, str]) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in sorted(values.items())]


def tags(values: Mapping[str, str]) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in sorted(values.items())]


def _session(item: AuthenticateOidc | AuthenticateCognito) -> Json:
    found: Json = {
        "SessionCookieName": item.session_cookie_name,
        "Scope": item.scope,
        "SessionTimeout": item.session_timeout,
        "OnUnauthenticatedRequest": item.on_unauthenticated_request,
    }
    if item.extra_parameters:
        found["AuthenticationRequestExtraParams"] = dict(item.extra_parameters)
    return found


def _values(values: tuple[str, ...], regexes: tuple[str, ...]) -> Json:
    found: Json = {}
    if values or not regexes:
        found["Values"] = list(values)
    if regexes:
        found["RegexValues"] = list(regexes)
    return found


def _given(values: Json) -> Json:
    return {key: value for key, value in values.items() if value is not None}
