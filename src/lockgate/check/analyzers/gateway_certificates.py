"""The certificates of gateway servers: whether they have the server's hosts, and whether the gateway finds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lockgate.edge.edge import Edge, secret_reference
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, istio
from lockgate.resources.codes import certificates as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.model import Resource

CODES = (codes.NAMES_NOT_COVERED, codes.SECRET_ELSEWHERE)

_CA = "-cacert"


def analyze(edge: Edge) -> Iterator[Fault]:
    elsewhere = _by_name(edge)
    for gateway in edge.objects.all(istio.Gateway):
        for namespace in _namespaces(edge, gateway):
            for index, server in enumerate(gateway.spec.servers):
                name = server.tls.credential_name if server.tls else ""
                if not name or name.startswith(("kubernetes://", "configmap://", "builtin://")) or name.endswith(_CA):
                    continue
                origin = Origin(gateway.key, ("spec", "servers", index))
                own, others = _there(edge, namespace, name), elsewhere[name]
                if not own and others:
                    yield codes.SECRET_ELSEWHERE.at(
                        origin.under("tls", "credentialName"),
                        secret=name,
                        found=others[0].namespace,
                        expected=namespace,
                    )
                if own:
                    yield from _not_covered(edge, origin, server.hosts, namespace, name)


def _not_covered(edge: Edge, origin: Origin, hosts: tuple[str, ...], namespace: str, name: str) -> Iterator[Fault]:
    certificate = edge.certificates.get(secret_reference(namespace, name))
    if certificate is None or certificate.source is None:
        return
    for index, written in enumerate(hosts):
        host = written.rpartition("/")[2]
        covered = host in certificate.names if host.startswith("*.") else certificate.covers(host)
        if host != "*" and not covered:
            names = ", ".join(certificate.names) or "none"
            yield codes.NAMES_NOT_COVERED.at(
                origin.under("hosts", index), secret=name, names=names, host=host, certificate=certificate.source
            )


def _namespaces(edge: Edge, gateway: istio.Gateway) -> Iterator[str]:
    """The namespaces of the workloads that serve a Gateway: those with a listener of its origin."""
    for workload in edge.gateways.values():
        chains = (chain for listener in workload.listeners for chain in listener.filter_chains)
        if any(chain.origin is not None and chain.origin.key == gateway.key for chain in chains):
            yield workload.namespace


def _there(edge: Edge, namespace: str, name: str) -> bool:
    """Whether the manifests make the Secret, supplied ones aside."""
    secret = edge.objects.get(core.Secret, namespace, name)
    if secret is not None and secret.key not in edge.supplied:
        return True
    return any(
        each.namespace == namespace and each.spec.secret_name == name for each in edge.objects.all(cm.Certificate)
    )


def _by_name(edge: Edge) -> defaultdict[str, list[Resource]]:
    """What makes a Secret of each name, except those that a reflector copies to other namespaces."""
    found: defaultdict[str, list[Resource]] = defaultdict(list)
    for secret in edge.objects.all(core.Secret):
        if secret.key not in edge.supplied and not _is_copied(secret.metadata.annotations):
            found[secret.name].append(secret)
    for certificate in edge.objects.all(cm.Certificate):
        template = certificate.spec.secret_template
        if template is None or not _is_copied(template.annotations):
            found[certificate.spec.secret_name].append(certificate)
    return found


def _is_copied(annotations: dict[str, str]) -> bool:
    """Whether a reflector or replicator is asked to copy it."""
    return any("reflect" in each or "replicat" in each or "kubed" in each for each in annotations)
