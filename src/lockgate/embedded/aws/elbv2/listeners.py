"""Listeners: port, protocol, certificates, policy, client certificates, default actions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lockgate.embedded.aws.elbv2 import actions, attributes, policies, tags
from lockgate.embedded.aws.elbv2.load_balancers import paged
from lockgate.embedded.aws.elbv2.state import Listener, LoadBalancer, Shape, State
from lockgate.embedded.aws.protocol import Refusal, Result
from lockgate.loadbalancer import quotas

SECURE: Final = ("HTTPS", "TLS")
ALPN_POLICIES: Final = ("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None")


def create(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    protocol, port = given.get("Protocol"), given.get("Port")
    if protocol is None or port is None:
        missing = "protocol" if protocol is None else "port"
        raise Refusal("ValidationError", f"A listener {missing} must be specified")
    _check_protocol(balancer, protocol)
    _check_port(state, balancer.arn, port, None)
    if len(state.listeners_of(balancer.arn)) >= state.quotas[balancer.type.listener_quota]:
        raise Refusal(
            "TooManyListeners", f"The maximum number of listeners has been reached on load balancer '{balancer.arn}'"
        )
    certificates = _certificates(state, protocol, given.get("Certificates") or [])
    policy = _policy(protocol, given.get("SslPolicy"))
    mutual = _mutual_authentication(state, balancer.arn, protocol, given.get("MutualAuthentication"), None)
    alpn = _alpn(protocol, given.get("AlpnPolicy"))
    default = actions.complete(state, given["DefaultActions"], load_balancer=balancer.arn, protocol=protocol)
    made_of_tags = tags.read(given.get("Tags", ()))
    path = balancer.arn.rpartition("loadbalancer/")[2]
    identity = state.new_id(f"listener/{path}/{port}")
    rule = state.new_id(f"listener-rule/{path}/{identity}/default")
    arn = state.arn(f"listener/{path}/{identity}")
    made = Listener(
        arn=arn,
        load_balancer=balancer.arn,
        port=port,
        protocol=protocol,
        default_actions=default,
        ssl_policy=policy,
        certificates=certificates,
        alpn_policy=alpn,
        mutual_authentication=mutual,
        attributes=attributes.defaults(attributes.LISTENERS[protocol]),
        tags=made_of_tags,
        default_rule=state.arn(f"listener-rule/{path}/{identity}/{rule}"),
    )
    state.add_listener(made)
    return {"Listeners": [shown(made)]}


def describe(state: State, given: Shape) -> Result:
    arns, balancer = given.get("ListenerArns"), given.get("LoadBalancerArn")
    if bool(arns) == bool(balancer):
        raise Refusal("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
    if arns:
        found = [state.listener(arn) for arn in arns]
    else:
        found = state.listeners_of(state.load_balancer(given["LoadBalancerArn"]).arn)
    items, marker = paged(found, given)
    return {"Listeners": [shown(item) for item in items], **marker}


def modify(state: State, given: Shape) -> Result:
    listener = state.listener(given["ListenerArn"])
    protocol, port = given.get("Protocol", listener.protocol), given.get("Port", listener.port)
    _check_protocol(state.load_balancers[listener.load_balancer], protocol)
    _check_port(state, listener.load_balancer, port, listener)
    if port != listener.port:
        _check_registered(state, listener)
    secure, was_secure = protocol in SECURE, listener.protocol in SECURE
    alpn = _alpn(protocol, given.get("AlpnPolicy")) if "AlpnPolicy" in given else listener.alpn_policy if secure else ""
    certificates = listener.certificates if secure else ()
    if given.get("Certificates") or secure != was_secure:
        chosen = _certificates(state, protocol, given.get("Certificates") or [])
        certificates = chosen + certificates[1:]
    policy = listener.ssl_policy if secure and was_secure else ""
    if "SslPolicy" in given or not policy:
        policy = _policy(protocol, given.get("SslPolicy"))
    mutual = (
        listener.mutual_authentication
        if secure and was_secure
        else _mutual_authentication(state, listener.load_balancer, protocol, None, listener)
    )
    if "MutualAuthentication" in given:
        mutual = _mutual_authentication(
            state, listener.load_balancer, protocol, given["MutualAuthentication"], listener
        )
    default = listener.default_actions
    if given.get("DefaultActions") or protocol != listener.protocol:
        default = actions.complete(
            state,
            given.get("DefaultActions") or default,
            load_balancer=listener.load_balancer,
            protocol=protocol,
            current=default,
        )
    if protocol != listener.protocol:
        table = attributes.LISTENERS[protocol]
        kept = {key: value for key, value in listener.attributes.items() if key in table}
        listener.attributes = attributes.defaults(table) | kept
    listener.protocol, listener.port, listener.certificates = protocol, port, certificates
    listener.ssl_policy, listener.alpn_policy, listener.mutual_authentication = policy, alpn, mutual
    state.set_actions(listener, default)
    return {"Listeners": [shown(listener)]}


def delete(state: State, given: Shape) -> Result:
    listener = state.listener(given["ListenerArn"])
    _check_registered(state, listener)
    state.remove_listener(listener)
    return {}


def describe_attributes(state: State, given: Shape) -> Result:
    return {"Attributes": attributes.shown(state.listener(given["ListenerArn"]).attributes)}


def modify_attributes(state: State, given: Shape) -> Result:
    listener = state.listener(given["ListenerArn"])
    table = attributes.LISTENERS[listener.protocol]
    listener.attributes = attributes.changed(table, listener.attributes, given["Attributes"], "Listener")
    return {"Attributes": attributes.shown(listener.attributes)}


# --- certificates


def describe_certificates(state: State, given: Shape) -> Result:
    listener = state.listener(given["ListenerArn"])
    shown_ones = [{"CertificateArn": arn, "IsDefault": place == 0} for place, arn in enumerate(listener.certificates)]
    items, marker = paged(shown_ones, given)
    return {"Certificates": items, **marker}


def add_certificates(state: State, given: Shape) -> Result:
    listener = state.listener(given["ListenerArn"])
    if listener.protocol not in SECURE:
        raise Refusal("ValidationError", "Certificates can be added to HTTPS and TLS listeners only")
    added = _arns(given["Certificates"])
    for arn in added:
        _check_certificate(state, arn)
    extra = set(added) - {listener.certificates[0]}
    for other in state.listeners_of(listener.load_balancer):
        extra.update(set(other.certificates) - set(other.certificates[:1]))
    if len(extra) > state.quotas[quotas.CERTIFICATES]:
        raise Refusal("TooManyCertificates", "You've reached the limit on the number of certificates per load balancer")
    default, *others = listener.certificates  # the default one may also be among the others
    listener.certificates = (default, *dict.fromkeys((*others, *added)))
    return {"Certificates": [{"CertificateArn": arn, "IsDefault": False} for arn in added]}


def remove_certificates(state: State, given: Shape) -> Result:
    listener = state.listener(given["ListenerArn"])
    removed = _arns(given["Certificates"])
    default, others = listener.certificates[:1], listener.certificates[1:]
    if any(arn in removed and arn not in others for arn in default):
        raise Refusal("OperationNotPermitted", "The default certificate of a listener cannot be removed")
    listener.certificates = (*default, *(arn for arn in others if arn not in removed))
    return {}


def shown(listener: Listener) -> Shape:
    answer: Shape = {
        "ListenerArn": listener.arn,
        "LoadBalancerArn": listener.load_balancer,
        "Port": listener.port,
        "Protocol": listener.protocol,
        "DefaultActions": actions.shown(listener.default_actions),
    }
    if listener.protocol in SECURE:
        answer["SslPolicy"] = listener.ssl_policy
        answer["Certificates"] = [{"CertificateArn": arn} for arn in listener.certificates[:1]]
    if listener.protocol == "HTTPS":
        answer["MutualAuthentication"] = listener.mutual_authentication or {"Mode": "off"}
    if listener.alpn_policy:
        answer["AlpnPolicy"] = [listener.alpn_policy]
    return answer


def _arns(given: Sequence[Shape]) -> list[str]:
    for certificate in given:
        if "IsDefault" in certificate:
            raise Refusal("ValidationError", "'IsDefault' cannot be specified")
    if not given:
        raise Refusal("ValidationError", "A certificate must be specified")
    return [certificate.get("CertificateArn", "") for certificate in given]


def _check_certificate(state: State, arn: str) -> None:
    match state.neighbours.certificate(arn):
        case None if not re.fullmatch(rf"arn:aws[a-z-]*:(acm:{state.region}:\d+:certificate/|iam::\d+:server-).+", arn):
            raise Refusal("ValidationError", f"Certificate ARN '{arn}' is not valid")  # also for another region's
        case None:
            raise Refusal("CertificateNotFound", f"Certificate '{arn}' not found")
        case "issued":
            return
        case _:
            raise Refusal(
                "UnsupportedCertificate",
                f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a "
                "supported key size.",
            )


def _certificates(state: State, protocol: str, given: Sequence[Shape]) -> tuple[str, ...]:
    if protocol not in SECURE:
        if given:
            raise Refusal("ValidationError", f"A certificate cannot be specified for {protocol} listeners")
        return ()
    if not given:
        raise Refusal("ValidationError", f"A certificate must be specified for {protocol} listeners")
    if len(given) > 1:
        raise Refusal("ValidationError", "Only one certificate can be specified, the default one of the listener")
    (arn,) = _arns(given)
    _check_certificate(state, arn)
    return (arn,)


def _policy(protocol: str, given: str | None) -> str:
    if protocol not in SECURE:
        if given:
            raise Refusal("ValidationError", f"An SSL policy cannot be specifed for {protocol} listeners")  # sic
        return ""
    policy = given or policies.DEFAULT
    if policy not in policies.names():
        raise Refusal("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
    return policy


def _check_protocol(balancer: LoadBalancer, protocol: str) -> None:
    kind = balancer.type
    if protocol not in kind.protocols:
        raise Refusal("ValidationError", f"Listener protocol '{protocol}' must be one of '{', '.join(kind.protocols)}'")
    if protocol not in kind.served:
        raise Refusal(
            "OperationNotPermitted",
            f"Listeners with the protocol '{protocol}' are not served here; those of {kind.name} load balancers have "
            f"'{', '.join(kind.served)}'",
        )


def _check_port(state: State, balancer: str, port: int, itself: Listener | None) -> None:
    if any(other.port == port and other is not itself for other in state.listeners_of(balancer)):
        raise Refusal(
            "DuplicateListener", f"A listener already exists on this port for this load balancer '{balancer}'"
        )


def _check_registered(state: State, listener: Listener) -> None:
    """Refuses to delete a listener while it is the target of a network load balancer."""
    if any(target.port == listener.port for target in state.registrations_of(listener.load_balancer)):
        raise Refusal(
            "ResourceInUse",
            f"Listener port '{listener.port}' is in use by registered target '{listener.load_balancer}' and cannot be "
            "removed.",
        )


def _alpn(protocol: str, given: Sequence[str] | None) -> str:
    if not given:
        return ""
    if protocol != "TLS":
        raise Refusal("ValidationError", "An ALPN policy can be specified for TLS listeners only")
    if len(given) > 1 or given[0] not in ALPN_POLICIES:
        raise Refusal(
            "ALPNPolicyNotSupported", f"ALPN policy '{', '.join(given)}' must be one of '{', '.join(ALPN_POLICIES)}'"
        )
    return given[0]


def _mutual_authentication(
    state: State, balancer: str, protocol: str, given: Shape | None, itself: Listener | None
) -> Shape | None:
    if protocol != "HTTPS":
        if given:
            raise Refusal("ValidationError", "Mutual authentication can be specified for HTTPS listeners only")
        return None
    mode = (given or {}).get("Mode", "off")
    if given is None or mode == "off":
        return {"Mode": "off"}
    if mode == "passthrough":
        # The controller sends an empty ARN with this mode; AWS takes it as none.
        if any(value for name, value in given.items() if name != "Mode"):
            raise Refusal(
                "ValidationError", "A trust store and its settings can be specified in the mode 'verify' only"
            )
        return {"Mode": "passthrough"}
    if mode != "verify":
        raise Refusal(
            "ValidationError", f"Mutual authentication mode '{mode}' must be one of 'off, passthrough, verify'"
        )
    if not given.get("TrustStoreArn"):
        raise Refusal("ValidationError", "A trust store ARN must be specified in the mode 'verify'")
    store = state.trust_store(given["TrustStoreArn"])
    others = (item.mutual_authentication for item in state.listeners_of(balancer) if item is not itself)
    most = state.quotas[quotas.VERIFYING_LISTENERS]
    if sum((other or {}).get("Mode") == "verify" for other in others) >= most:
        raise Refusal(
            "InvalidConfigurationRequest",
            f"A load balancer can have up to '{most}' listeners with mutual authentication in the mode 'verify'",
        )
    return {
        "Mode": "verify",
        "TrustStoreArn": store.arn,
        "IgnoreClientCertificateExpiry": bool(given.get("IgnoreClientCertificateExpiry", False)),
        "TrustStoreAssociationStatus": "active",
        "AdvertiseTrustStoreCaNames": given.get("AdvertiseTrustStoreCaNames", "off"),
    }
