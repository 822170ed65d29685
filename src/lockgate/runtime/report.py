"""How an edge is: a line for each part, from the state of the APIs and of what the Envoys have accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from typing import Any

from lockgate.edge.supply import AcmCertificate
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources.codes import define
from lockgate.resources.finding import Finding, Severity
from lockgate.resources.kinds import Certificate, ClusterIssuer, Event, Ingress, Issuer, VirtualService
from lockgate.resources.kinds import Gateway as IstioGateway
from lockgate.resources.meta import condition
from lockgate.resources.model import ObjectKey, Resource
from lockgate.resources.status import NotFound
from lockgate.runtime import balancer_names
from lockgate.runtime.hops import balancers, gateways, hops
from lockgate.runtime.parts import Line, Report, State
from lockgate.runtime.running import RunningEdge
from lockgate.runtime.waf import not_evaluated

REJECTED = define(
    "LG9003",
    Severity.ERROR,
    "Rejected by Envoy",
    "What Envoy had accepted before goes on serving; where there is nothing from before, nothing is served.",
)


async def report(edge: RunningEdge) -> Report:
    certificates = [line async for line in _certificates(edge)]
    lines = (
        _kubernetes(edge),
        _aws(edge),
        *[line async for line in _acm(edge)],
        *certificates,
        *[line async for line in _load_balancers(edge)],
        *_gateways(edge),
        *[line async for line in _dns(edge)],
    )
    rejections = [
        REJECTED.finding(str(rejection), subject=", ".join(rejection.origins))
        for node in edge.envoys
        for rejection in edge.ads.rejections(node)
    ]
    ingresses = await edge.store.list(Ingress)
    renamed = balancer_names.kept(edge, balancer_names.live(balancers(edge), ingresses), ingresses)
    passed = not_evaluated(edge.load_balancing.load_balancers)
    findings = (*edge.findings, *edge.istiod.findings, *rejections, *renamed, *passed)
    return Report(lines, findings, tuple(_urls(edge)))


async def status(edge: RunningEdge) -> dict[str, Any]:
    """`lockgate status --output json`."""
    told = await report(edge)
    return {
        **edge.about(),
        "ready": told.ready,
        "urls": list(told.urls),
        "parts": [asdict(line) for line in told.lines],
        "objects": [each async for each in _objects(edge)],
        "hops": await hops(edge),
        "findings": [_finding(each) for each in told.findings],
        "supplied": list(edge.supply.notes if edge.supply else ()),
        "envoys": {node: {"pid": envoy.pid, "restarts": envoy.restarts} for node, envoy in edge.envoys.items()},
        "timeline": [{"done": what, "seconds": seconds} for what, seconds in edge.progress.marks],
    }


# --- lines -------------------------------------------------------------------------------------------------------


def _kubernetes(edge: RunningEdge) -> Line:
    files = len(edge.manifests.files) if edge.manifests else 0
    counted = f"{_count(edge.loader.count, 'object')} from {_count(files, 'file')}"
    return Line("kubernetes api", edge.kubernetes_api.url, State.READY, counted)


def _aws(edge: RunningEdge) -> Line:
    return Line("aws api", edge.aws_api.url, State.READY, f"{edge.aws_api.region} · {edge.aws_api.account}")


async def _acm(edge: RunningEdge) -> AsyncIterator[Line]:
    for certificate in edge.supply.certificates if edge.supply else ():
        issued = await edge.aws_api.certificate_material(certificate.arn) is not None
        detail = "issued by DNS validation" if issued else "waits for its validation record to resolve"
        yield Line("certificate", f"acm  {_names(certificate)}", State.READY if issued else State.WAITING, detail)


async def _certificates(edge: RunningEdge) -> AsyncIterator[Line]:
    for certificate in await edge.store.list(Certificate):
        name = f"{certificate.namespace}/{certificate.name}"
        issuer = await _issuer(edge, certificate)
        refused = condition(issuer.status.conditions, "Ready") if issuer else None
        ready = condition(certificate.status.conditions, "Ready")
        if ready and ready.status == "True":
            yield Line("certificate", name, State.READY, _issued_how(certificate, issuer))
        elif certificate.status.last_failure_time:
            issuing = condition(certificate.status.conditions, "Issuing")
            yield Line("certificate", name, State.FAILED, issuing.message if issuing else "issuance failed")
        elif issuer and refused and refused.status == "False":
            detail = f"{issuer.KIND.kind} {issuer.name}: {refused.message}"
            yield Line("certificate", name, State.FAILED, detail)
        else:
            yield Line("certificate", name, State.WAITING, ready.message if ready else "not looked at yet")


async def _load_balancers(edge: RunningEdge) -> AsyncIterator[Line]:
    ingresses = await edge.store.list(Ingress)
    published = {each.hostname.lower() for ingress in ingresses for each in ingress.status.load_balancer.ingress}
    names = balancer_names.live(balancers(edge), ingresses)
    stacks = edge.stacks.stacks if edge.stacks else ()
    wanted = [names.get(owner, made.name) for each in stacks for owner, made in balancer_names.desired(each)]
    current, settled = edge.load_balancing.current, edge.ads.is_settled("alb")
    for balancer in balancers(edge):
        await asyncio.sleep(0)  # of many load balancers: nothing that is served waits for the telling
        # The controller writes an Ingress's status when all of the load balancer is made; scripts make theirs alone.
        made = balancer.name not in wanted or balancer.dns_name.lower() in published
        yield _load_balancer(edge, balancer, served=current and settled and made)
    there = {balancer.name for balancer in balancers(edge)}
    for name in wanted:
        if name not in there:
            yield Line("load balancer", name, State.WAITING, "is being made")
    unmade = [ingress for ingress in ingresses if not ingress.status.load_balancer.ingress]
    warnings = await _warnings(edge) if unmade else {}
    for ingress in unmade:
        if warning := warnings.get(ingress.metadata.uid):
            yield Line("load balancer", f"{ingress.namespace}/{ingress.name}", State.FAILED, warning)


def _load_balancer(edge: RunningEdge, balancer: AnyLoadBalancer, *, served: bool) -> Line:
    states = {reference: edge.load_balancing.target_states(reference) for reference in balancer.target_groups}
    targets = [state for group in states.values() for state in group.values()]
    healthy = targets.count("healthy") + targets.count("unavailable")  # functions that nobody checks take requests
    detail = " · ".join(
        (
            _count(len(balancer.listeners), "listener"),
            _count(len(balancer.target_groups), "target group"),
            f"{healthy}/{len(targets)} healthy",
            *dict.fromkeys(why for reference in states for why in edge.load_balancing.complaints(reference)),
        )
    )
    if rejected := edge.ads.rejections("alb"):
        return Line("load balancer", balancer.name, State.FAILED, str(rejected[0]))
    # Where no target is healthy, all get traffic: with one target, such as a load balancer, it is that one either way.
    fit = healthy == len(targets) or isinstance(balancer, NetworkLoadBalancer)
    ready = served and balancer.dns_name.lower() in edge.addresses and all(states.values()) and fit
    return Line("load balancer", balancer.name, State.READY if ready else State.WAITING, detail)


def _gateways(edge: RunningEdge) -> Iterator[Line]:
    for node in sorted(edge.envoys):
        if node == "alb":
            continue
        gateway = gateways(edge).get(node)
        if gateway is None:
            yield Line("gateway", node, State.WAITING, "Envoy starts")
            continue
        hosts = sum(len(each.virtual_hosts) for each in gateway.routes.values())
        listening = [each for each in gateway.listeners if each.port != gateway.status_port]
        detail = f"{_count(len(listening), 'listener')} · {_count(hosts, 'virtual host')}"
        rejected = edge.ads.rejections(node)
        settled = edge.ads.is_settled(node)
        name = gateway.workload.partition("/")[2].removesuffix("-0")
        if rejected:
            yield Line("gateway", name, State.FAILED, str(rejected[0]))
        else:
            yield Line("gateway", name, State.READY if settled else State.WAITING, detail)


async def _dns(edge: RunningEdge) -> AsyncIterator[Line]:
    hosts = edge.supply.hosts if edge.supply else ()
    answered: list[str] = []
    missing: list[str] = []
    for host in hosts:
        (answered if await edge.dns.addresses_of(host.replace("*", "any", 1)) else missing).append(host)
    if answered:
        yield Line("dns", ", ".join(_shortened(answered)), State.READY, "alias to the load balancer")
    if missing:
        yield Line("dns", ", ".join(_shortened(missing)), State.WAITING, "no record yet")


# --- the JSON report's own parts ---------------------------------------------------------------------------------


async def _objects(edge: RunningEdge) -> AsyncIterator[dict[str, Any]]:
    for key, document in sorted(edge.loader.documents.items()):
        yield {
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "source": str(document.position),
            "state": await _object_state(edge, key, document.resource, document.accepted),
        }


async def _object_state(edge: RunningEdge, key: ObjectKey, resource: Resource | None, accepted: bool) -> str:
    if not accepted:
        return "refused"
    try:
        match resource:
            case None:
                return "stored"
            case Certificate():
                current = await edge.store.get(Certificate, key.name, key.namespace)
                ready = condition(current.status.conditions, "Ready")
                return "ready" if ready and ready.status == "True" else "waiting"
            case Ingress():
                ingress = await edge.store.get(Ingress, key.name, key.namespace)
                return "ready" if ingress.status.load_balancer.ingress else "waiting"
            case IstioGateway() | VirtualService():
                return "served" if gateways(edge) else "waiting"
            case _:
                return "applied"
    except NotFound:  # the API refused it, or somebody deleted it
        return "refused" if key not in edge.loader.applied else "deleted"


# --- words -------------------------------------------------------------------------------------------------------


def _finding(finding: Finding) -> dict[str, Any]:
    position = asdict(finding.position) if finding.position else None
    return {**asdict(finding), "severity": finding.severity.value, "position": position}


def _urls(edge: RunningEdge) -> Iterator[str]:
    """Of the hosts that the edge serves; without any, of the load balancers' own names, which no certificate has."""
    hosts = [host for host in (edge.supply.hosts if edge.supply else ()) if not host.startswith("*")]
    balancers = edge.load_balancing.load_balancers
    ports = {listener.port: listener.protocol for balancer in balancers for listener in balancer.listeners}
    for port, protocol in sorted(ports.items(), key=lambda each: (each[1] != "HTTPS", each[0])):
        for host in hosts:
            yield _url(protocol, host, port)
    if not hosts:
        for balancer in balancers:
            for listener in sorted(balancer.listeners, key=lambda each: (each.protocol != "HTTP", each.port)):
                yield _url(listener.protocol, balancer.dns_name.lower(), listener.port)


def _url(protocol: str, host: str, port: int) -> str:
    shown = "" if (port, protocol) in ((80, "HTTP"), (443, "HTTPS")) else f":{port}"
    return f"{protocol.lower()}://{host}{shown}/"


async def _issuer(edge: RunningEdge, certificate: Certificate) -> Issuer | ClusterIssuer | None:
    ref = certificate.spec.issuer_ref
    try:
        if ref.kind == "ClusterIssuer":
            return await edge.store.get(ClusterIssuer, ref.name)
        return await edge.store.get(Issuer, ref.name, certificate.namespace)
    except NotFound:
        return None


def _issued_how(certificate: Certificate, issuer: Issuer | ClusterIssuer | None) -> str:
    if issuer is None:
        return "issued"
    ref = certificate.spec.issuer_ref
    return "issued over ACME, DNS-01" if issuer.spec.acme else f"issued by {ref.kind} {ref.name}"


async def _warnings(edge: RunningEdge) -> dict[str, str]:
    """The latest warning event about each object, by its uid."""
    events = [event for event in await edge.store.list(Event) if event.type == "Warning"]
    events.sort(key=lambda event: event.last_timestamp or "")
    return {event.involved_object.uid: event.message for event in events}


def _names(certificate: AcmCertificate) -> str:
    more = len(certificate.names) - 1
    return certificate.names[0] + (f" +{more}" if more else "")


def _shortened(hosts: list[str]) -> list[str]:
    """Hosts below one that was named before by their first part: ``tidewater.example, www``."""
    shown: list[str] = []
    for host in hosts:
        parent = next((each for each in hosts if host.endswith(f".{each}")), None)
        shown.append(host.removesuffix(f".{parent}") if parent else host)
    return shown if len(shown) <= 4 else [*shown[:4], f"{len(shown) - 4} more"]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
