"""What the account and the cluster know of a request, as values. Each part may be missing, and `unseen` says why."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """A record set at the host's name in Route 53. `alias` is the DNS name that it points to."""

    name: str
    type: str
    zone: str
    alias: str = ""
    values: tuple[str, ...] = ()
    set_id: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True)
class TargetState:
    """One target as DescribeTargetHealth has it. `state` is healthy, unhealthy, initial, draining, unused."""

    group: str
    target: str
    state: str
    reason: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A target group: what is configured of it, and its targets."""

    name: str
    arn: str
    protocol: str
    protocol_version: str
    port: int
    target_type: str
    check: Json
    targets: tuple[TargetState, ...] = ()

    @property
    def all_unhealthy(self) -> bool:
        return bool(self.targets) and all(each.state in ("unhealthy", "unavailable") for each in self.targets)


@dataclass(frozen=True, slots=True)
class Balancer:
    """A load balancer as its Describe calls have it; `groups` are those that it can forward to."""

    name: str
    arn: str
    dns_name: str
    state: str
    reason: str
    scheme: str
    ip_address_type: str
    listeners: tuple[Json, ...]
    rules: Mapping[str, tuple[Json, ...]]
    attributes: Mapping[str, str]
    groups: tuple[Group, ...]

    def listener(self, port: int) -> Json | None:
        return next((each for each in self.listeners if each.get("Port") == port), None)

    @property
    def ports(self) -> str:
        return ", ".join(f"{each.get('Protocol')} {each.get('Port')}" for each in self.listeners) or "no port"


@dataclass(frozen=True, slots=True)
class AcmCertificate:
    """What ACM says of a certificate of the listener."""

    arn: str
    type: str
    status: str
    renewal: str = ""
    eligible: bool = False


@dataclass(frozen=True, slots=True)
class GatewayLog:
    """The gateway's access log line of the request. `line` is what was logged; the rest is read from it."""

    line: str
    flags: str = ""
    details: str = ""
    transport_failure: str = ""
    cluster: str = ""
    upstream: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A Certificate of cert-manager: ``namespace/name``, and when what is in its Secret ends."""

    name: str
    ready: bool
    message: str
    not_after: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """`predicted` is `trace.text.as_json`'s. `balancers` is None where the account could not be read. `chosen` is the
    load balancer that was asked for by name, or "". `balancer_log` are the fields of the request's line in its access
    log.

    `secrets` maps the keys (SHA-256) of the certificates that gateways present to the Secrets that hold them.
    """

    predicted: Json | None = None
    records: tuple[Record, ...] | None = None
    balancers: tuple[Balancer, ...] | None = None
    certificates: tuple[AcmCertificate, ...] = ()
    gateway_log: GatewayLog | None = None
    balancer_log: Json | None = None
    chosen: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    issuances: tuple[Certificate, ...] = ()
    unseen: tuple[str, ...] = ()

    def balancer_of(self, names: Sequence[str]) -> Balancer | None:
        """The one that one of these DNS names belongs to."""
        asked = {each.rstrip(".").lower().removeprefix("dualstack.") for each in names}
        return next((each for each in self.balancers or () if each.dns_name.lower() in asked), None)

    @property
    def entered(self) -> Balancer | None:
        """The load balancer that was asked for, or that the host's records lead to, or whose own name the host is."""
        if self.chosen:
            return next((each for each in self.balancers or () if each.name == self.chosen), None)
        names = [name for each in self.records or () for name in (each.alias, *each.values) if name]
        found = self.balancer_of(names)
        if found is None and self.predicted is not None:
            hops = self.predicted["hops"]
            wanted = next((hop["load_balancer"] for hop in hops if "load_balancer" in hop), None)
            found = next((each for each in self.balancers or () if each.name == wanted), None)
        return found

    @property
    def ending(self) -> Json | None:
        """How `trace` expects the request to end."""
        if self.predicted is None:
            return None
        found: Json = self.predicted["ending"]
        return found

    def hop(self, name: str) -> Json | None:
        return next((hop for hop in (self.predicted or {}).get("hops", ()) if hop["hop"] == name), None)

    @property
    def group(self) -> Group | None:
        """The target group that the request is predicted to take, else the only one there is."""
        entered = self.entered
        if entered is None:
            return None
        hop = self.hop("target group")
        wanted = hop.get("target_group") if hop else None
        found = next((each for each in entered.groups if each.name == wanted), None)
        return found or (entered.groups[0] if len(entered.groups) == 1 else None)


_TEXT = re.compile(
    r'"[^"]*" (?P<code>\d+) (?P<flags>\S+) (?P<details>\S+) (?P<ended>\S+) "(?P<transport>[^"]*)" '
    r"(?P<received>\d+) (?P<sent>\d+) (?P<duration>\d+) \S+ "
    r'"[^"]*" "[^"]*" "[^"]*" "[^"]*" "(?P<upstream>[^"]*)" (?P<cluster>\S+) '
)


def gateway_log(line: str) -> GatewayLog:
    """Reads Istio's default text and JSON formats; of another format only the line is kept."""
    line = line.strip()
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return GatewayLog(line)
        return GatewayLog(
            line,
            _known(found.get("response_flags")),
            _known(found.get("response_code_details")),
            _known(found.get("upstream_transport_failure_reason")),
            _known(found.get("upstream_cluster")),
            _known(found.get("upstream_host")),
            found.get("duration") if isinstance(found.get("duration"), int) else None,
        )
    match = _TEXT.search(line)
    if match is None:
        return GatewayLog(line)
    flags, details, transport, cluster, upstream = (
        _known(match[each]) for each in ("flags", "details", "transport", "cluster", "upstream")
    )
    return GatewayLog(line, flags, details, transport, cluster, upstream, int(match["duration"]))


def _known(text: object) -> str:
    return "" if text in (None, "-") else str(text)
