"""Protocol versions of TLS that RFC 8996 deprecates: on the load balancer's listeners, and on the gateway's servers."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members, written
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.loadbalancer.policies import policy
from lockgate.resources import istio
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.WEAK_POLICY, codes.WEAK_DEFAULT_POLICY, codes.OLD_TLS)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        chosen = any(a.SSL_POLICY.key in each.metadata.annotations for each in members(edge, balancer))
        code = codes.WEAK_POLICY if chosen else codes.WEAK_DEFAULT_POLICY
        for listener in balancer.listeners:
            found = policy(listener.ssl_policy) if listener.protocol == "HTTPS" else None
            if found is not None and found.oldest in ("TLSv1", "TLSv1.1"):
                origin = written(edge, balancer, a.SSL_POLICY)
                yield code.at(origin, policy=found.name, port=listener.port, balancer=balancer.name)
    for gateway in edge.objects.all(istio.Gateway):
        for index, server in enumerate(gateway.spec.servers):
            version = server.tls.min_protocol_version if server.tls else None
            if version in ("TLSV1_0", "TLSV1_1"):
                path = ("spec", "servers", index, "tls", "minProtocolVersion")
                yield codes.OLD_TLS.at(Origin(gateway.key, path), version=version)
