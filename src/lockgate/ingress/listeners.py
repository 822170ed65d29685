"""A group's listeners: each member's requests, merged by port.

Source: aws-load-balancer-controller `pkg/ingress/model_build_listener.go`, `model_builder.go`, `cert_discovery.go`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.json_values import Node
from lockgate.ingress.annotations.values import Malformed
from lockgate.ingress.certificates import hosts_of, matching_certificates, requested
from lockgate.ingress.group import Member
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.world import Account, Settings
from lockgate.loadbalancer.model import MutualAuthentication, Protocol
from lockgate.resources import networking
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey


@dataclass(frozen=True, slots=True)
class PortConfig:
    """One member's request for one port. `certificates_open` means discovery is pending, because ACM was not read."""

    member: Member
    port: int
    protocol: Protocol
    certificates: tuple[str, ...] = ()
    certificates_open: bool = False
    ssl_policy: str | None = None
    cidrs: tuple[str, ...] = ()
    prefix_lists: tuple[str, ...] = ()
    mutual: MutualAuthentication | None = None
    advertised: str | None = None
    """advertiseTrustStoreCaNames as written: members must write the same, and "off" is not the same as nothing."""


@dataclass(frozen=True, slots=True)
class Port:
    """A listener before its actions and rules. `members` listen on it, in the group's order."""

    number: int
    protocol: Protocol
    members: tuple[Member, ...]
    certificates: tuple[str, ...]
    certificates_open: bool
    ssl_policy: str
    cidrs: tuple[str, ...]
    prefix_lists: tuple[str, ...]
    mutual: MutualAuthentication | None


def ports(members: Sequence[Member], account: Account, settings: Settings) -> tuple[Port, ...]:
    """The group's ports in ascending order. Raises `Refused`."""
    configs: dict[int, list[PortConfig]] = {}
    for member in members:
        request = requested(member, settings)
        with about(Origin(member.ingress.key, a.LISTEN_PORTS.path()), prefix=f"ingress: {member.key}: "):
            for config in _port_configs(member, account, request):
                configs.setdefault(config.port, []).append(config)
    return tuple(_merge(number, configs[number], settings) for number in sorted(configs))


def parse_listen_ports(root: Node) -> dict[int, Protocol]:
    """``[{"HTTP": 80}, {"HTTPS": 443}]``, any number of protocols in each entry; the last entry for a port wins."""
    found: dict[int, Protocol] = {}
    for item in root.items("[]map[string]int32"):
        for protocol, node in item.entries("int32"):
            port = node.integer() or 0
            if not 1 <= port <= 65535:
                raise Refused(f"listen port must be within [1, 65535]: {port}")
            if protocol not in ("HTTP", "HTTPS"):
                raise Refused(f"listen protocol must be within [HTTP, HTTPS]: {protocol}")
            found[port] = cast(Protocol, protocol)
    return found


def _port_configs(member: Member, account: Account, request: str | None) -> list[PortConfig]:
    ingress, params = member.ingress, member.params
    explicit = params.spec.certificate_arn if params else ()
    if not explicit:
        explicit = (request,) if request else a.CERTIFICATE_ARN.read(ingress) or ()
    listens = _listen_ports(member, bool(explicit))
    ssl_policy = params.spec.ssl_policy if params and params.spec.ssl_policy else None
    if ssl_policy is None:
        ssl_policy = a.SSL_POLICY.read(ingress)
    cidrs = _cidrs(member)
    prefix_lists = (params.spec.prefix_lists_ids or params.spec.legacy_prefix_lists_ids) if params else ()
    prefix_lists = prefix_lists or a.SECURITY_GROUP_PREFIX_LISTS.read(ingress) or ()
    mutual = _mutual_authentication(member, account)
    left_open = False
    certificates = explicit
    if not explicit and "HTTPS" in listens.values():
        if account.certificates is None:
            left_open = True
        else:
            certificates = matching_certificates(hosts_of(member), account.certificates)
    found = []
    for port, protocol in listens.items():
        if protocol == "HTTP":
            found.append(PortConfig(member, port, protocol, cidrs=cidrs, prefix_lists=prefix_lists))
        else:
            desired, advertised = mutual.get(port, (None, None))
            found.append(
                PortConfig(
                    member,
                    port,
                    protocol,
                    certificates,
                    left_open,
                    ssl_policy,
                    cidrs,
                    prefix_lists,
                    desired,
                    advertised,
                )
            )
    return found


def _listen_ports(member: Member, has_certificates: bool) -> dict[int, Protocol]:
    raw = a.LISTEN_PORTS.read(member.ingress)
    if raw is None:
        return {443: "HTTPS"} if has_certificates else {80: "HTTP"}
    try:
        listens = a.LISTEN_PORTS.parse(parse_listen_ports, member.ingress)
    except Refused as refused:
        if isinstance(refused.__cause__, Malformed) or refused.message.startswith("failed to parse json"):
            reason = refused.message.rpartition(f"{raw}: ")[2]
            raise Refused(
                f"failed to parse listen-ports configuration: `{raw}`: {reason}",
                Origin(member.ingress.key, a.LISTEN_PORTS.path()),
            ) from None
        raise
    if listens is None or not a.LISTEN_PORTS.parse(lambda root: root.items(), member.ingress):
        raise Refused(f"empty listen-ports configuration: `{raw}`")
    return listens  # empty for entries without a port, such as [{}]


def _cidrs(member: Member) -> tuple[str, ...]:
    params = member.params
    if params and params.spec.inbound_cidrs:
        for cidr in params.spec.inbound_cidrs:
            if not _is_cidr(cidr):
                raise Refused(
                    f"invalid CIDR in IngressClassParams InboundCIDR {cidr}: invalid CIDR address: {cidr}",
                    Origin(params.key, ("spec", "inboundCIDRs")),
                )
        return tuple(params.spec.inbound_cidrs)
    cidrs = a.INBOUND_CIDRS.read(member.ingress) or ()
    for cidr in cidrs:
        if not _is_cidr(cidr):
            raise Refused(
                f"invalid {a.INBOUND_CIDRS.name} settings on Ingress: {member.key}: invalid CIDR address: {cidr}",
                Origin(member.ingress.key, a.INBOUND_CIDRS.path()),
            )
    return cidrs


def _is_cidr(text: str) -> bool:
    """Go's ParseCIDR: an address and a prefix length; host bits may be set."""
    address, slash, length = text.partition("/")
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return bool(slash) and length.isdigit() and "%" not in address


def _mutual_authentication(member: Member, account: Account) -> dict[int, tuple[MutualAuthentication, str | None]]:
    """By port, each with advertiseTrustStoreCaNames as written."""
    raw = a.MUTUAL_AUTHENTICATION.read(member.ingress)
    if raw is None:
        return {}

    def read(root: Node) -> dict[int, tuple[MutualAuthentication, str | None]]:
        entries = [
            node.object("MutualAuthenticationConfig") for node in root.items("[]ingress.MutualAuthenticationConfig")
        ]
        found: dict[int, tuple[MutualAuthentication, str | None]] = {}
        for fields in entries:
            port = fields["port"].integer() or 0
            if not 1 <= port <= 65535:
                raise Refused(f"listen port must be within [1, 65535]: {port}")
            mode = fields["mode"].string() or ""
            if not mode:
                raise Refused(f"mutualAuthentication mode cannot be empty for port {port}")
            store = fields["trustStore"].string()
            expiry, names = (
                fields["ignoreClientCertificateExpiry"].boolean(),
                fields["advertiseTrustStoreCaNames"].string(),
            )
            _check_mode(port, mode, store, expiry, names)
            settings = MutualAuthentication(
                "verify" if mode == "verify" else "passthrough" if mode == "passthrough" else "off",
                _trust_store(store or "", account),
                bool(expiry),
                names == "on",
            )
            found[port] = (settings, names)
        return found

    with about(Origin(member.ingress.key, a.MUTUAL_AUTHENTICATION.path())):
        try:
            found = a.MUTUAL_AUTHENTICATION.parse(read, member.ingress)
            if not found:
                raise Refused(f"empty mutualAuthentication configuration from ingress annotation: `{raw}`")
            return found
        except Refused as refused:
            if refused.message.startswith("failed to parse json"):
                reason = refused.message.rpartition(f"{raw}: ")[2]
                raise Refused(
                    f"failed to parse mutualAuthentication configuration from ingress annotation: `{raw}`: {reason}"
                ) from None
            raise


def trust_stores(ingress: networking.Ingress) -> tuple[str, ...]:
    """The ARNs and names of those that its annotation references. Raises `Refused`."""

    def read(root: Node) -> tuple[str, ...]:
        entries = (node.object("MutualAuthenticationConfig") for node in root.items("[]MutualAuthenticationConfig"))
        return tuple(name for fields in entries if (name := fields["trustStore"].string()))

    return a.MUTUAL_AUTHENTICATION.parse(read, ingress) or ()


def _check_mode(port: int, mode: str, store: str | None, expiry: bool | None, names: str | None) -> None:
    if mode not in ("off", "passthrough", "verify"):
        raise Refused(
            f"mutualAuthentication mode value must be among [off, passthrough, verify] for port {port} : {mode}"
        )
    if mode == "verify":
        if not store:
            raise Refused(f"trustStore is required when mutualAuthentication mode is verify for port {port}")
    elif store:
        raise Refused(f"Mutual Authentication mode {mode} does not support trustStore for port {port}")
    elif expiry is not None:
        raise Refused(
            f"Mutual Authentication mode {mode} does not support ignoring client certificate expiry for port {port}"
        )
    elif names is not None:
        raise Refused(f"Mutual Authentication mode {mode} does not support advertiseTrustStoreCaNames for port {port}")
    if names not in (None, "on", "off"):
        raise Refused(
            f'advertiseTrustStoreCaNames only supports the values "on" and "off" got value {names} for port {port}'
        )


def _trust_store(name: str, account: Account) -> str:
    if not name or name.startswith("arn:") or account.trust_stores is None:
        return name
    if name not in account.trust_stores:
        raise Refused(f"couldn't find TrustStores with names [{name}]")
    return account.trust_stores[name]


def _merge(number: int, configs: Sequence[PortConfig], settings: Settings) -> Port:
    with about(Origin(_culprit(configs)), prefix=f"failed to merge listenPort config for port: {number}: "):
        first = configs[0]
        policy: PortConfig | None = None
        cidrs: PortConfig | None = None
        prefixes: PortConfig | None = None
        mutual: PortConfig | None = None
        certificates: dict[str, None] = {}
        for config in configs:
            key = config.member.key
            if config.protocol != first.protocol:
                raise Refused(f"conflicting protocol, {first.member.key}: {first.protocol} | {key}: {config.protocol}")
            if config.cidrs:
                if cidrs and set(cidrs.cidrs) != set(config.cidrs):
                    raise Refused(
                        f"conflicting inbound-cidrs, {cidrs.member.key}: {_families(cidrs.cidrs)} | "
                        f"{key}: {_families(config.cidrs)}"
                    )
                cidrs = cidrs or config
            if config.prefix_lists:
                if prefixes and set(prefixes.prefix_lists) != set(config.prefix_lists):
                    raise Refused(
                        f"conflicting inbound-prefix-lists, {prefixes.member.key}: {_show(prefixes.prefix_lists)} | "
                        f"{key}: {_show(config.prefix_lists)}"
                    )
                prefixes = prefixes or config
            if config.ssl_policy is not None:
                if policy and policy.ssl_policy != config.ssl_policy:
                    raise Refused(
                        f"conflicting sslPolicy, {policy.member.key}: {policy.ssl_policy} | {key}: {config.ssl_policy}"
                    )
                policy = policy or config
            if config.mutual is not None:
                if mutual and (mutual.mutual, mutual.advertised) != (config.mutual, config.advertised):
                    raise Refused(
                        f"conflicting mTLS Attributes, {mutual.member.key}: {_mode(mutual)} | {key}: {_mode(config)}"
                    )
                mutual = mutual or config
            certificates |= dict.fromkeys(config.certificates)
    sources = cidrs.cidrs if cidrs else ()
    lists = prefixes.prefix_lists if prefixes else ()
    if not sources and not lists:
        sources = ("0.0.0.0/0", "::/0")
    https = first.protocol == "HTTPS"
    chosen = policy.ssl_policy if policy and policy.ssl_policy is not None else settings.default_ssl_policy
    return Port(
        number=number,
        protocol=first.protocol,
        members=tuple(config.member for config in configs),
        certificates=tuple(certificates),
        certificates_open=any(config.certificates_open for config in configs),
        ssl_policy=chosen if https else "",
        cidrs=sources,
        prefix_lists=lists,
        mutual=mutual.mutual if mutual else None,
    )


def _culprit(configs: Sequence[PortConfig]) -> ObjectKey:
    return configs[-1].member.ingress.key


def _families(cidrs: Iterable[str]) -> str:
    ordered = sorted(cidrs)
    four = [cidr for cidr in ordered if ":" not in cidr]
    six = [cidr for cidr in ordered if ":" in cidr]
    return f"{_show(four)}, {_show(six)}"


def _mode(config: PortConfig) -> str:
    mutual = config.mutual or MutualAuthentication()
    return f"{{{mutual.mode} {mutual.trust_store}}}"


def _show(items: Iterable[str]) -> str:
    return f"[{' '.join(items)}]"
