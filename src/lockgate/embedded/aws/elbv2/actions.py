"""Actions of rules and listeners: checks them, and adds AWS's defaults.

Source: ELBv2 API Reference, Action; ALB user guide, "Actions for listener rules".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from lockgate.embedded.aws.elbv2.attributes import whole
from lockgate.embedded.aws.elbv2.state import Shape, State, target_groups
from lockgate.embedded.aws.protocol import Refusal
from lockgate.loadbalancer import quotas
from lockgate.loadbalancer.cognito import POOL
from lockgate.loadbalancer.network import PROTOCOLS

CONFIGS = {
    "forward": "ForwardConfig",
    "redirect": "RedirectConfig",
    "fixed-response": "FixedResponseConfig",
    "authenticate-oidc": "AuthenticateOidcConfig",
    "authenticate-cognito": "AuthenticateCognitoConfig",
    "jwt-validation": "JwtValidationConfig",
}
FINAL = ("forward", "redirect", "fixed-response")
CONTENT_TYPES = ("text/plain", "text/css", "text/html", "application/javascript", "application/json")
# The placeholders that each part of a redirect may contain (user guide, "Redirect actions").
PLACEHOLDERS = {
    "Protocol": ("protocol",),
    "Host": ("host",),
    "Port": ("port",),
    "Path": ("host", "port", "path"),
    "Query": ("protocol", "host", "port", "path", "query"),
}
_HOST = re.compile(r"[A-Za-z0-9._-]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 6265: a cookie's name
_URL = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def complete(
    state: State, given: Sequence[Shape], *, load_balancer: str, protocol: str, current: Sequence[Shape] = ()
) -> list[Shape]:
    """The actions in order, with defaults. `current` are the replaced ones, from which a client secret may be kept.
    Raises `Refusal`."""
    actions = [_completed(state, action, protocol, current) for action in _ordered(given)]
    types = [action["Type"] for action in actions]
    if protocol in PROTOCOLS:
        _check_network(actions)
    if not types or types[-1] not in FINAL:
        raise _invalid("The last action must be of type 'forward', 'redirect' or 'fixed-response'")
    if sum(kind in FINAL for kind in types) > 1:
        raise Refusal(
            "TooManyActions", "Exactly one action of type 'forward', 'redirect' or 'fixed-response' is allowed"
        )
    if len(types) > 2:
        raise Refusal("TooManyActions", "Only one action can come before the last one")
    if types[0] not in FINAL and protocol != "HTTPS":
        raise _invalid(f"Actions of type '{types[0]}' are supported only on HTTPS listeners")
    _check_target_groups(state, actions, load_balancer, protocol, current)
    return actions


def _check_network(actions: Sequence[Shape]) -> None:
    for action in actions:
        if action["Type"] != "forward":
            raise _invalid(
                f"Action type '{action['Type']}' is not valid for network load balancers; it must be 'forward'"
            )
        if action["ForwardConfig"]["TargetGroupStickinessConfig"]["Enabled"]:
            raise Refusal("OperationNotPermitted", "Target group stickiness of listeners is not served here")


def shown(actions: Sequence[Shape]) -> list[Shape]:
    """The actions without client secrets, as AWS returns them."""
    return [_without_secret(action) for action in actions]


def client_secret(actions: Sequence[Shape]) -> str | None:
    for action in actions:
        for config in (action.get(kind, {}) for kind in _LOGINS):
            if (secret := config.get("ClientSecret")) is not None:
                return str(secret)
    return None


def _ordered(given: Sequence[Shape]) -> list[Shape]:
    if len(given) > 1:
        orders = [action.get("Order") for action in given]
        if None in orders or len(set(orders)) < len(orders):
            raise _invalid("Each action needs an order of its own")
    return sorted(given, key=lambda action: int(action.get("Order", 1)))


def _completed(state: State, action: Shape, protocol: str, current: Sequence[Shape]) -> Shape:
    kind = action["Type"]
    for other, key in CONFIGS.items():
        if key in action and other != kind:
            raise _invalid(f"An action of type '{kind}' cannot have '{key}'")
    if kind == "forward":
        config = _forward(state, action)
    elif CONFIGS[kind] not in action:
        raise _invalid(f"An action of type '{kind}' needs '{CONFIGS[kind]}'")
    elif "TargetGroupArn" in action:
        raise _invalid(f"An action of type '{kind}' cannot have 'TargetGroupArn'")
    else:
        given = action[CONFIGS[kind]]
        match kind:
            case "redirect":
                config = _redirect(given, protocol)
            case "fixed-response":
                config = _fixed_response(given)
            case "jwt-validation":
                config = _jwt(given)
            case "authenticate-oidc":
                config = _oidc(given, current)
            case _:
                config = _cognito(state, given)
    done: Shape = {"Type": kind, CONFIGS[kind]: config}
    if "Order" in action:
        done["Order"] = action["Order"]
    if kind == "forward" and len(config["TargetGroups"]) == 1:
        done["TargetGroupArn"] = config["TargetGroups"][0]["TargetGroupArn"]
    return done


def _forward(state: State, action: Shape) -> Shape:
    given = action.get("ForwardConfig", {})
    groups = given.get("TargetGroups") or []
    if not groups and "TargetGroupArn" in action:
        groups = [{"TargetGroupArn": action["TargetGroupArn"]}]
    elif "TargetGroupArn" in action and [group.get("TargetGroupArn") for group in groups] != [action["TargetGroupArn"]]:
        raise _invalid("'TargetGroupArn' must be the only target group of 'ForwardConfig' where both are specified")
    if not groups:
        raise _invalid("A forward action needs at least one target group")
    most = state.quotas[quotas.TARGET_GROUPS_OF_ACTION]
    if len(groups) > most:
        raise Refusal(
            "TooManyTargetGroups",
            f"A forward action can have up to '{most}' target groups; it has '{len(groups)}'",
        )
    completed = []
    for group in groups:
        weight = group.get("Weight", 1)
        if not 0 <= weight <= 999:
            raise Refusal("ValidationError", f"Target group weight '{weight}' must be between '0' and '999' inclusive")
        completed.append({"TargetGroupArn": group.get("TargetGroupArn", ""), "Weight": weight})
    arns = [group["TargetGroupArn"] for group in completed]
    if len(set(arns)) < len(arns):
        raise _invalid("A forward action cannot have a target group twice")
    sticky = given.get("TargetGroupStickinessConfig", {})
    config: Shape = {"TargetGroups": completed, "TargetGroupStickinessConfig": {"Enabled": False}}
    if sticky.get("Enabled"):
        seconds = sticky.get("DurationSeconds")
        if seconds is None or not 1 <= seconds <= 604800:
            raise Refusal(
                "ValidationError",
                f"Target group stickiness duration '{seconds}' must be between '1' and '604800' seconds",
            )
        config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": seconds}
    return config


def _redirect(given: Shape, protocol: str) -> Shape:
    config = {
        "Protocol": "#{protocol}",
        "Host": "#{host}",
        "Port": "#{port}",
        "Path": "/#{path}",
        "Query": "#{query}",
        **given,
    }
    for part, allowed in PLACEHOLDERS.items():
        _check_line(f"redirect {part.lower()}", config[part])
        for keyword in re.findall(r"#\{([^}]*)\}", config[part]):
            if keyword not in allowed:
                raise _invalid(f"The keyword '#{{{keyword}}}' cannot be used in the redirect's {part.lower()}")
    if not _HOST.fullmatch(re.sub(r"#\{[^}]*\}", "", config["Host"])):
        raise _invalid(f"The redirect host '{config['Host']}' is not valid")
    if not config["Path"].startswith("/"):
        raise _invalid(f"The redirect path '{config['Path']}' must begin with a '/' character")
    port = config["Port"]
    if not whole(1, 65535, "#{port}")(port):
        raise _invalid(f"The redirect port '{port}' must be between 1 and 65535 or '#{{port}}'")
    if protocol == "HTTPS" and config["Protocol"] == "HTTP":
        raise _invalid("HTTPS cannot be redirected to HTTP")
    same_protocol = config["Protocol"] in ("#{protocol}", protocol)
    if same_protocol and (config["Host"], port, config["Path"]) == ("#{host}", "#{port}", "/#{path}"):
        raise _invalid("The redirect configuration is not valid because it creates a loop.")
    return config


def _fixed_response(given: Shape) -> Shape:
    content = given.get("ContentType")
    if content and content not in CONTENT_TYPES:
        raise _invalid(f"The content type '{content}' must be one of '{', '.join(CONTENT_TYPES)}'")
    return dict(given)


def _oidc(given: Shape, current: Sequence[Shape]) -> Shape:
    config = _session(given)
    for endpoint in ("AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint"):
        _check_endpoint(endpoint, config[endpoint])
    if config.pop("UseExistingClientSecret", False):
        secret = client_secret(current)
        if "ClientSecret" in config:
            raise _invalid("You cannot both specify a client secret and set UseExistingClientSecret to true")
        if secret is None:
            raise _invalid("'UseExistingClientSecret' needs an action that has a client secret already")
        config["ClientSecret"] = secret
    elif not config.get("ClientSecret"):
        raise _invalid("A client secret must be specified for actions of type 'authenticate-oidc'")
    return config


def _cognito(state: State, given: Shape) -> Shape:
    """Adds the secret of the pool's client. AWS reads it with the caller's permissions."""
    config = _session(given)
    arn = config["UserPoolArn"]
    pool = POOL.fullmatch(arn)
    if pool is None or pool["region"] != state.region:
        raise _invalid(f"'{arn}' is not a valid user pool ARN")
    try:
        secret = state.neighbours.user_pool_client_secret(arn, config["UserPoolClientId"])
    except LookupError as error:
        raise _invalid(str(error.args[0])) from None
    if not secret:
        raise _invalid("The user pool client must have a client secret")
    return {**config, "ClientSecret": secret}


def _session(given: Shape) -> Shape:
    config = {
        "SessionCookieName": "AWSELBAuthSessionCookie",
        "Scope": "openid",
        "SessionTimeout": 604800,
        "OnUnauthenticatedRequest": "authenticate",
        **given,
    }
    if not 1 <= config["SessionTimeout"] <= 604800:
        raise _invalid(f"The session timeout '{config['SessionTimeout']}' must be between 1 and 604800 seconds")
    if len(config.get("AuthenticationRequestExtraParams", {})) > 10:
        raise _invalid("Up to 10 extra parameters can be specified for the authentication request")
    if not _TOKEN.fullmatch(config["SessionCookieName"]):
        raise _invalid(f"The session cookie name '{config['SessionCookieName']}' is not valid")
    for name, value in config.items():
        if isinstance(value, str):
            _check_line(name, value)
    return config


def _jwt(given: Shape) -> Shape:
    if len(given["JwksEndpoint"]) > 256:
        raise _invalid("The JWKS endpoint can have up to 256 characters")
    _check_endpoint("JwksEndpoint", given["JwksEndpoint"])
    if len(given.get("AdditionalClaims", ())) > 10:
        raise _invalid("Up to 10 additional claims can be specified")
    return dict(given)


def _check_line(what: str, value: str) -> None:
    """Refuses line breaks in values that become headers, where they would start another header."""
    if _CONTROL.search(value):
        raise _invalid(f"The {what} '{value}' contains characters that are not valid")


def _check_endpoint(name: str, url: str) -> None:
    if not url.startswith("https://"):
        raise _invalid(f"The {name} '{url}' must use HTTPS")
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and parts.username is None and not parts.fragment
    except ValueError:
        good = False
    if not good or not _URL.fullmatch(url):
        raise _invalid(f"The {name} '{url}' is not a valid URL")


# Source: "Target groups for your Network Load Balancers", "Routing configuration".
_BEHIND = {
    "TCP": ("TCP", "TCP_UDP"),
    "TLS": ("TCP", "TLS"),
    "UDP": ("UDP", "TCP_UDP"),
    "TCP_UDP": ("TCP_UDP",),
}


def _check_target_groups(
    state: State, actions: Sequence[Shape], load_balancer: str, protocol: str, current: Sequence[Shape]
) -> None:
    arns = [arn for action in actions for arn in target_groups(action)]
    balancer = state.load_balancers[load_balancer]
    for arn in arns:
        if arn not in state.target_groups:
            raise Refusal("TargetGroupNotFound", f"Target group '{arn}' not found")
        settings = state.target_groups[arn].settings
        other = settings.get("Protocol", "HTTP")
        if other not in _BEHIND.get(protocol, ("HTTP", "HTTPS")):
            raise Refusal(
                "IncompatibleProtocols",
                f"The listener and its associated target group '{arn}' have incompatible protocols: '{protocol}' and "
                f"'{other}'",
            )
        version = settings.get("ProtocolVersion", "HTTP1")
        if protocol == "HTTP" and version != "HTTP1":
            raise Refusal(
                "InvalidConfigurationRequest",
                f"Listener protocol 'HTTP' is not supported with a target group with the protocol-version '{version}'",
            )
        if settings.get("VpcId", balancer.vpc_id) != balancer.vpc_id:
            raise Refusal(
                "InvalidConfigurationRequest",
                f"The following target groups are not in the VPC of the load balancer '{balancer.vpc_id}': {arn}",
            )
    elsewhere = [arn for arn in arns if set(state.load_balancers_of(arn)) - {load_balancer}]
    if elsewhere:
        raise Refusal(
            "TargetGroupAssociationLimit",
            "The following target groups cannot be associated with more than one load balancer: "
            f"{', '.join(elsewhere)}",
        )
    if len(arns) > 1:
        config = actions[-1]["ForwardConfig"]
        if not config["TargetGroupStickinessConfig"]["Enabled"] and any(
            state.target_groups[arn].attributes.get("stickiness.enabled") == "true" for arn in arns
        ):
            raise Refusal(
                "InvalidConfigurationRequest",
                "You must enable group stickiness on a rule if you enabled stickiness on one of its target groups",
            )
    if len(state.target_groups_of(load_balancer) | set(arns)) > state.quotas[quotas.TARGET_GROUPS_OF_LOAD_BALANCER]:
        raise Refusal(
            "TooManyUniqueTargetGroupsPerLoadBalancer",
            "You've reached the limit on the number of unique target groups per load balancer across all listeners",
        )


def _without_secret(action: Shape) -> Shape:
    kind = next((each for each in _LOGINS if each in action), None)
    if kind is None:
        return action
    return action | {kind: {key: value for key, value in action[kind].items() if key != "ClientSecret"}}


_LOGINS = ("AuthenticateOidcConfig", "AuthenticateCognitoConfig")


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidLoadBalancerAction", message)
