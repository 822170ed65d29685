"""From a load balancer to its targets: target group, health, and the connection to the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lockgate.edge.edge import Edge
from lockgate.edge.health import Health, health
from lockgate.edge.mutual_tls import refusing
from lockgate.edge.network import GatewayPort, ServicePort
from lockgate.loadbalancer.model import TargetGroup
from lockgate.loadbalancer.request import Request as AlbRequest
from lockgate.resources import istio
from lockgate.resources.faults import Origin
from lockgate.trace.load_balancer_hops import ToTargets
from lockgate.trace.model import Ending, Fact, Hop, Verdict

BY = "load balancer"


OWN_ADDRESS: Final = "10.0.0.10"
"""An address of a load balancer, which its targets see. AWS chooses it."""


@dataclass(frozen=True, slots=True)
class AtGateway:
    """A connection to a port of a gateway workload, with its request.

    `group` is the target group of an Application Load Balancer, which sends no `sni`. `front` is the one of a Network
    Load Balancer. `peer` is the source address that the gateway sees, and `proxied` says whether the PROXY protocol
    tells it the client's.
    """

    leads: GatewayPort
    request: AlbRequest
    tls: bool
    group: TargetGroup | None
    sni: str | None = None
    peer: str = OWN_ADDRESS
    proxied: bool = False
    front: TargetGroup | None = None


def arrive(edge: Edge, forwarded: ToTargets) -> tuple[tuple[Hop, ...], AtGateway | Ending]:
    """The hop at the target with the largest share."""
    share = max(forwarded.shares, key=lambda each: each.weight)
    group = forwarded.balancer.target_groups[share.target_group]
    target = group.targets[0] if group.targets else None
    behind = edge.network.served(group)
    checked = health(edge, group, target) if behind else None
    hops = [_group(forwarded, share.weight, group, behind, checked)]
    if behind is None:
        return tuple(hops), _no_targets(group)
    leads = edge.network.gateways.get(behind)
    tls = group.protocol == "HTTPS"
    if leads is not None:
        hops.append(_connection(group, str(behind)))
        return tuple(hops), AtGateway(leads, forwarded.request, tls, group)
    if policy := refusing(edge, behind):
        hop, cause = refused(behind, policy)
        return (*hops, hop), Ending(502, BY, cause=f"{cause} The load balancer answers 502.", fix=FIX, where=hop.where)
    hops.append(backend(behind, forwarded.request, group))
    return tuple(hops), Ending(None, "backend", backend=str(behind))


FIX: Final = (
    "Send the load balancer's requests to Istio's gateway, or make the port PERMISSIVE or DISABLE in `portLevelMtls`."
)


def refused(port: ServicePort, policy: istio.PeerAuthentication) -> tuple[Hop, str]:
    """The connection to a sidecar that takes no plain text, and the cause in words."""
    named = f"PeerAuthentication {policy.namespace}/{policy.name}"
    title = f"the sidecar of {port} resets the connection"
    hop = Hop("backend", title, Verdict.FAILS, Origin(policy.key), (Fact(f"{named} is STRICT"),))
    return (
        hop,
        f"The sidecar of {port} takes the mesh's mutual TLS alone ({named} is STRICT), and resets the connection.",
    )


def backend(port: ServicePort, request: AlbRequest, group: TargetGroup) -> Hop:
    """An application directly behind the load balancer."""
    facts = (Fact(f"Host: {request.host}"), *(Fact(f"{name}: {value}") for name, value in request.headers))
    title = f"{request.method} {request.target} at {port}, {group.protocol}"
    return Hop("backend", title, facts=facts, data={"backend": str(port), "target": request.target})


def _group(
    forwarded: ToTargets, weight: int, group: TargetGroup, behind: ServicePort | None, checked: Health | None
) -> Hop:
    total = sum(each.weight for each in forwarded.shares)
    share = f" · {100 * weight / total:.0f} % of requests" if len(forwarded.shares) > 1 else ""
    title = f"{group.name} · {group.protocol}"
    if group.protocol_version != "HTTP1":
        title += f" {group.protocol_version}"
    title += f" · {group.target_type} · {behind or 'no target'}{share}"
    facts = [
        Fact(f"{100 * each.weight / total:.0f} % go to {forwarded.balancer.target_groups[each.target_group].name}")
        for each in forwarded.shares
        if len(forwarded.shares) > 1 and each.target_group != group.reference
    ]
    verdict = Verdict.PASSES if behind else Verdict.FAILS
    if checked is not None:
        state = {True: "passes", False: "fails", None: "is the backend's to answer"}[checked.passes]
        facts.append(Fact(f"health check {state}: {checked.why}"))
        if checked.passes is False:
            facts.append(Fact("no target is healthy, so the load balancer sends requests to all of them"))
    data = {
        "target_group": group.name,
        "backend": str(behind) if behind else None,
        "healthy": checked.passes if checked else None,
        "shares": {each.target_group: each.weight for each in forwarded.shares},
    }
    return Hop("target group", title, verdict, group.origin, tuple(facts), data)


def _no_targets(group: TargetGroup) -> Ending:
    kind = "a node port" if group.target_type == "instance" else "ready endpoints"
    return Ending(
        503,
        BY,
        cause=f"The target group {group.name} has no targets: its Service has no {kind.removeprefix('a ')}.",
        fix="Make the Service of type NodePort, or use `target-type: ip`."
        if group.target_type == "instance"
        else "Check that Pods of the Service are ready.",
        where=group.origin,
    )


def _connection(group: TargetGroup, to: str) -> Hop:
    if group.protocol == "HTTPS":
        facts = (Fact("The load balancer sends no server name (SNI) and does not verify the certificate."),)
        return Hop("tls", f"TLS to {to}", facts=facts)
    return Hop("tls", f"plain HTTP to {to}", data={"plain": True})
