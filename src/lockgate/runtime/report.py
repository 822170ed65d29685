"""What an edge says about itself: a line for each part, what is wrong, and where it serves. Pure, from a `State`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lockgate.edge.supply import AcmCertificate
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources.codes import machine as codes
from lockgate.resources.faults import Fault
from lockgate.resources.kinds import Certificate, ClusterIssuer, Event, Ingress, Issuer
from lockgate.resources.meta import condition
from lockgate.runtime import balancer_names
from lockgate.runtime.observed import Cluster, State
from lockgate.runtime.parts import Line, Readiness, Report
from lockgate.runtime.waf import not_evaluated


def report(state: State) -> Report:
    lines = (
        *_apis(state),
        *_acm(state),
        *_certificates(state),
        *_load_balancers(state),
        *_gateways(state),
        *_dns(state),
    )
    return Report(lines, tuple(_faults(state)), tuple(_urls(state)))


def _faults(state: State) -> Iterator[Fault]:
    yield from state.faults
    for envoy in state.envoys.values():
        for rejection in envoy.rejections:
            yield codes.REJECTED.at(None, rejection=rejection)
    yield from balancer_names.kept(state)
    yield from not_evaluated(state.balancing.load_balancers)


# --- lines -------------------------------------------------------------------------------------------------------


def _apis(state: State) -> Iterator[Line]:
    addresses, aws = state.about["addresses"], state.about["aws"]
    objects = sum(key in state.applied for key in state.documents)
    counted = f"{_count(objects, 'object')} from {_count(len(state.files), 'file')}"
    yield Line("kubernetes api", addresses["kubernetes"], Readiness.READY, counted)
    yield Line("aws api", addresses["aws"], Readiness.READY, f"{aws['region']} · {aws['account']}")


def _acm(state: State) -> Iterator[Line]:
    for certificate in state.supply.certificates if state.supply else ():
        if certificate.arn in state.issued:
            readiness, detail = Readiness.READY, "issued by DNS validation"
        else:
            readiness, detail = Readiness.WAITING, "waits for its validation record to resolve"
        yield Line("certificate", f"acm  {_names(certificate)}", readiness, detail)


def _certificates(state: State) -> Iterator[Line]:
    for certificate in state.cluster.all(Certificate):
        name = f"{certificate.namespace}/{certificate.name}"
        issuer = _issuer(state.cluster, certificate)
        refused = condition(issuer.status.conditions, "Ready") if issuer else None
        ready = condition(certificate.status.conditions, "Ready")
        if ready and ready.status == "True":
            yield Line("certificate", name, Readiness.READY, _issued_how(certificate, issuer))
        elif certificate.status.last_failure_time:
            issuing = condition(certificate.status.conditions, "Issuing")
            yield Line("certificate", name, Readiness.FAILED, issuing.message if issuing else "issuance failed")
        elif issuer and refused and refused.status == "False":
            detail = f"{issuer.KIND.kind} {issuer.name}: {refused.message}"
            yield Line("certificate", name, Readiness.FAILED, detail)
        else:
            yield Line("certificate", name, Readiness.WAITING, ready.message if ready else "not processed yet")


def _load_balancers(state: State) -> Iterator[Line]:
    ingresses = state.cluster.all(Ingress)
    published = {each.hostname.lower() for ingress in ingresses for each in ingress.status.load_balancer.ingress}
    names = balancer_names.live(state.balancing.all, ingresses)
    stacks = state.stacks.stacks if state.stacks else ()
    wanted = [names.get(owner, made.name) for each in stacks for owner, made in balancer_names.desired(each)]
    belongs = frozenset(wanted)
    for balancer in state.balancing.all:
        # The controller writes an Ingress's status when all of the load balancer is made; scripts make theirs alone.
        made = balancer.name not in belongs or balancer.dns_name.lower() in published
        yield _load_balancer(state, balancer, made=made)
    there = {balancer.name for balancer in state.balancing.all}
    for name in wanted:
        if name not in there:
            yield Line("load balancer", name, Readiness.WAITING, "is being made")
    unmade = [ingress for ingress in ingresses if not ingress.status.load_balancer.ingress]
    warnings = _warnings(state.cluster) if unmade else {}
    for ingress in unmade:
        if warning := warnings.get(ingress.metadata.uid):
            yield Line("load balancer", f"{ingress.namespace}/{ingress.name}", Readiness.FAILED, warning)


def _load_balancer(state: State, balancer: AnyLoadBalancer, *, made: bool) -> Line:
    balancing, envoy = state.balancing, state.alb
    states = [balancing.targets.get(reference, {}) for reference in balancer.target_groups]
    targets = [target for group in states for target in group.values()]
    healthy = targets.count("healthy") + targets.count("unavailable")  # functions that nobody checks take requests
    complaints = (why for reference in balancer.target_groups for why in balancing.complaints.get(reference, ()))
    detail = " · ".join(
        (
            _count(len(balancer.listeners), "listener"),
            _count(len(balancer.target_groups), "target group"),
            f"{healthy}/{len(targets)} healthy",
            *dict.fromkeys(complaints),
        )
    )
    if envoy.rejections:
        return Line("load balancer", balancer.name, Readiness.FAILED, str(envoy.rejections[0]))
    # Where no target is healthy, all get traffic: with one target, such as a load balancer, it is that one either way.
    fit = healthy == len(targets) or isinstance(balancer, NetworkLoadBalancer)
    served = balancing.current and envoy.settled and made and balancer.dns_name.lower() in balancing.addresses
    ready = served and all(states) and fit
    return Line("load balancer", balancer.name, Readiness.READY if ready else Readiness.WAITING, detail)


def _gateways(state: State) -> Iterator[Line]:
    for node, envoy in sorted(state.envoys.items()):
        gateway = envoy.gateway
        if node == "alb":
            continue
        if gateway is None:
            yield Line("gateway", node, Readiness.WAITING, "Envoy starts")
            continue
        hosts = sum(len(each.virtual_hosts) for each in gateway.routes.values())
        listening = [each for each in gateway.listeners if each.port != gateway.status_port]
        detail = f"{_count(len(listening), 'listener')} · {_count(hosts, 'virtual host')}"
        name = gateway.workload.partition("/")[2].removesuffix("-0")
        if envoy.rejections:
            yield Line("gateway", name, Readiness.FAILED, str(envoy.rejections[0]))
        else:
            yield Line("gateway", name, Readiness.READY if envoy.settled else Readiness.WAITING, detail)


def _dns(state: State) -> Iterator[Line]:
    hosts = state.supply.hosts if state.supply else ()
    answered = [host for host in hosts if host in state.resolved]
    missing = [host for host in hosts if host not in state.resolved]
    if answered:
        yield Line("dns", shortened(answered), Readiness.READY, "alias to the load balancer")
    if missing:
        yield Line("dns", shortened(missing), Readiness.WAITING, "no record yet")


# --- where it serves ---------------------------------------------------------------------------------------------


def _urls(state: State) -> Iterator[str]:
    """Of the hosts that the edge serves; without any, of the load balancers' own names, which no certificate has."""
    hosts = [host for host in (state.supply.hosts if state.supply else ()) if not host.startswith("*")]
    balancers = state.balancing.load_balancers
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


# --- reading the cluster -----------------------------------------------------------------------------------------


def _issuer(cluster: Cluster, certificate: Certificate) -> Issuer | ClusterIssuer | None:
    ref = certificate.spec.issuer_ref
    if ref.kind == "ClusterIssuer":
        return cluster.get(ClusterIssuer, ref.name)
    return cluster.get(Issuer, ref.name, certificate.namespace)


def _issued_how(certificate: Certificate, issuer: Issuer | ClusterIssuer | None) -> str:
    if issuer is None:
        return "issued"
    ref = certificate.spec.issuer_ref
    return "issued over ACME, DNS-01" if issuer.spec.acme else f"issued by {ref.kind} {ref.name}"


def _warnings(cluster: Cluster) -> Mapping[str, str]:
    """The latest warning event about each object, by its uid."""
    events = [event for event in cluster.all(Event) if event.type == "Warning"]
    events.sort(key=lambda event: event.last_timestamp or "")
    return {event.involved_object.uid: event.message for event in events}


# --- words -------------------------------------------------------------------------------------------------------


def shortened(hosts: Sequence[str]) -> str:
    """The first four hosts; one below a host that is listed too by its first part: ``tidewater.example, www``."""
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


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
