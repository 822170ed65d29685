"""An edge's report: a line for each part, all faults, and its URLs. Pure, from a `State`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from lockgate.edge.options import ISTIOD, OFF
from lockgate.edge.supply import AcmCertificate
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkListener
from lockgate.resources.codes import machine as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo
from lockgate.resources.model import ObjectKey
from lockgate.resources.reader import Document
from lockgate.runtime.observed import State
from lockgate.runtime.pace import Steps, at_once
from lockgate.runtime.parts import Line, Readiness, Report, count
from lockgate.runtime.reports import balancer_names, rejected
from lockgate.runtime.reports.bindings import bindings
from lockgate.runtime.reports.gateway_addresses import GatewayAddresses, gateway_addresses
from lockgate.runtime.reports.gateways import gateways
from lockgate.runtime.reports.issuance import certificates
from lockgate.runtime.reports.load_balancers import load_balancers
from lockgate.runtime.reports.unresolved import Why, why_unresolved
from lockgate.runtime.reports.waf import not_evaluated

_WELL_KNOWN = {80: "HTTP", 443: "HTTPS"}


def report(state: State) -> Report:
    return at_once(report_in_steps(state))


def report_in_steps(state: State, memo: Memo | None = None) -> Steps[Report]:
    """With the same `memo`, hosts and URLs are listed again only if one of them changed."""
    memo = memo or Memo()
    memo.turn()
    addresses = gateway_addresses(state)
    unresolved = yield from why_unresolved(state, memo.made(_unresolved, hosts(state), state.resolved), memo)
    lines: list[Line] = []
    for part in (
        _apis(state, memo),
        _acm(state),
        certificates(state),
        load_balancers(state),
        bindings(state),
        gateways(state),
        _dns(state, addresses, unresolved, memo),
    ):
        for line in part:
            lines.append(_left(state, line))
            yield
    faults = tuple(_faults(state, memo))
    yield
    urls = (*_urls(state, addresses.hosts, memo), *addresses.urls)
    yield
    own = tuple(str(key) for key, fault in sorted(state.refused.items()) if fault.subject in ("", str(key)))
    return Report(tuple(lines), faults, urls, tuple(_shortfall(len(own), lines, unresolved)), own)


_MAKERS = {
    "load balancer": ("aws-load-balancer-controller", ISTIOD),
    "certificate": ("cert-manager",),
    "dns": ("external-dns", "aws-load-balancer-controller"),
    "gateway": (ISTIOD,),
}


def _left(state: State, line: Line) -> Line:
    """A part that waits for a controller that does not run here is not waited for."""
    if line.state is not Readiness.WAITING or line.name.startswith("acm "):
        return line
    for controller in _MAKERS.get(line.part, ()):
        how = state.controllers.get(controller)
        if controller == ISTIOD and line.part != "gateway":
            how = how if any(each.istiod and not each.settled for each in state.envoys.values()) else None
        if how:
            left = f"{controller} is off" if how == OFF else f"it waits for your {controller}"
            detail = line.detail if left in line.detail else f"{line.detail}; {left}"
            return replace(line, state=Readiness.EXTERNAL, detail=detail)
    return line


def _shortfall(refused: int, lines: Iterable[Line], unresolved: Mapping[Why, Sequence[str]]) -> Iterator[str]:
    if refused:
        yield f"{count(refused, 'object')} refused"
    lost = Counter[str]()
    for why, without in unresolved.items():
        if why.state is Readiness.UNSERVED:
            lost[why.lack] += len(without)
    yield from (f"{count(number, 'host')} without a {lack}" for lack, number in lost.items())
    if never := sum(line.part == "certificate" and line.state is Readiness.UNSERVED for line in lines):
        yield f"{count(never, 'certificate')} that cannot be issued"


def _deleted(state: State) -> list[ObjectKey]:
    """The user's objects that somebody deleted in the API."""
    return [key for key in state.cluster.without(state.documents) if key in state.applied]


def _faults(state: State, memo: Memo) -> Iterator[Fault]:
    yield from state.faults
    inputs = [state.documents, state.applied, *state.cluster.parts]
    for key in memo.depending("deleted", inputs, lambda: _deleted(state)):
        yield codes.DELETED.at(Origin(key), object=key)
    yield from rejected.faults(state)
    yield from balancer_names.kept(state)
    yield from not_evaluated(state.balancing.load_balancers)


# --- lines -------------------------------------------------------------------------------------------------------


def _common(documents: Mapping[ObjectKey, Document], applied: AbstractSet[ObjectKey]) -> int:
    return len(documents.keys() & applied)


def _apis(state: State, memo: Memo) -> Iterator[Line]:
    addresses, aws = state.about["addresses"], state.about["aws"]
    objects = memo.made(_common, state.documents, state.applied)
    counted = f"{count(objects, 'object')} from {count(len(state.files), 'file')}"
    yield Line("kubernetes api", addresses["kubernetes"], Readiness.READY, counted)
    yield Line("aws api", addresses["aws"], Readiness.READY, f"{aws['region']} · {aws['account']}")


def _acm(state: State) -> Iterator[Line]:
    faults = (fault for fault in state.faults if fault.code.id == codes.NOT_MADE.id)
    not_made = {dict(fault.values)["piece"] for fault in faults}
    for certificate in state.supply.certificates if state.supply else ():
        if certificate.arn in state.issued:
            readiness, detail = Readiness.READY, "issued by DNS validation"
        elif certificate.why.partition(":")[0] in not_made:
            readiness, detail = Readiness.UNSERVED, f"cannot be made [{codes.NOT_MADE.id}]"
        else:
            readiness, detail = Readiness.WAITING, "waits for its validation record to resolve"
        yield Line("certificate", f"acm  {_names(certificate)}", readiness, detail)


def _dns(
    state: State, addresses: GatewayAddresses, unresolved: Mapping[Why, Sequence[str]], memo: Memo
) -> Iterator[Line]:
    resolved = memo.made(_resolved, hosts(state), state.resolved)
    if aliases := [host for host in resolved if host not in addresses.hosts]:
        yield Line("dns", shortened(aliases), Readiness.READY, "alias to the load balancer")
    if addressed := [host for host in resolved if host in addresses.hosts]:
        yield Line("dns", shortened(addressed), Readiness.READY, "address of the gateway")
    for why, without in unresolved.items():
        yield Line("dns", shortened(without), why.state, why.text)


def _resolved(hosts: Iterable[str], resolved: Container[str]) -> list[str]:
    return [host for host in hosts if host in resolved]


def _unresolved(hosts: Iterable[str], resolved: Container[str]) -> list[str]:
    return [host for host in hosts if host not in resolved]


def hosts(state: State) -> tuple[str, ...]:
    return state.supply.hosts if state.supply else ()


# --- where it serves ---------------------------------------------------------------------------------------------


def _urls(state: State, elsewhere: AbstractSet[str], memo: Memo) -> Sequence[str]:
    """The URLs of hosts that load balancers serve or, without any, of their DNS names, which no certificate covers.

    `elsewhere` are hosts that do not resolve to a load balancer.
    """
    balancing = state.balancing
    at: dict[str, list[tuple[str, int]]] = {}
    for balancer in balancing.all:
        at.setdefault(balancing.addresses.get(balancer.dns_name.lower(), ""), []).extend(_ways(balancer))
    named = memo.made(_unresolved, hosts(state), memo.stable("elsewhere", elsewhere))
    if named:
        return memo.made(_urls_of, named, state.resolved, memo.stable("ways", at))
    found = ((balancer.dns_name.lower(), *way) for balancer in balancing.load_balancers for way in _ways(balancer))
    return [_url(protocol, host, port) for host, protocol, port in _ordered(dict.fromkeys(found), "HTTP")]


def _urls_of(
    hosts: Iterable[str], resolved: Mapping[str, tuple[str, ...]], at: Mapping[str, Sequence[tuple[str, int]]]
) -> list[str]:
    """Of thousands of hosts, most have the same addresses, so what leads there is looked up once."""
    named = [host for host in hosts if not host.startswith("*")]
    reached = {
        addresses: frozenset(way for address in addresses for way in at.get(address, ()))
        for addresses in frozenset(resolved.values())
    }
    ways = _ordered((("", *way) for way in frozenset().union(*reached.values())), "HTTPS")
    return [
        _url(protocol, host, port)
        for _, protocol, port in ways
        for host in named
        if host in resolved and (protocol, port) in reached[resolved[host]]
    ]


def _ordered(found: Iterable[tuple[str, str, int]], first: str) -> list[tuple[str, str, int]]:
    return sorted(found, key=lambda each: (each[1] != first, each[2]))


def _ways(balancer: AnyLoadBalancer) -> Iterator[tuple[str, int]]:
    """Protocol and port of each listener that may speak HTTP; for TCP listeners, by the port."""
    for listener in balancer.listeners:
        if not isinstance(listener, NetworkListener):
            yield listener.protocol, listener.port
        elif listener.protocol == "TLS":
            yield "HTTPS", listener.port
        elif listener.port in _WELL_KNOWN and listener.protocol != "UDP":
            yield _WELL_KNOWN[listener.port], listener.port


def _url(protocol: str, host: str, port: int) -> str:
    shown = "" if _WELL_KNOWN.get(port) == protocol else f":{port}"
    return f"{protocol.lower()}://{host}{shown}/"


# --- words -------------------------------------------------------------------------------------------------------


def shortened(hosts: Sequence[str]) -> str:
    """The first four hosts. A host below another one is shortened to its first label: ``tidewater.example, www``."""
    listed = frozenset(hosts)
    shown = [_below(host, listed) for host in hosts[:4]]
    return ", ".join([*shown, f"{len(hosts) - 4} more"] if len(hosts) > 4 else shown)


def _below(host: str, listed: frozenset[str]) -> str:
    for dot in (at for at, letter in enumerate(host) if letter == "."):
        if host[dot + 1 :] in listed:
            return host[:dot]
    return host


def _names(certificate: AcmCertificate) -> str:
    more = len(certificate.names) - 1
    return certificate.names[0] + (f" +{more}" if more else "")
