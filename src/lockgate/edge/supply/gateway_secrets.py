"""TLS Secrets that Gateways reference and nothing creates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from lockgate.certificates import ingress_shim
from lockgate.edge.objects import Name, Objects
from lockgate.edge.supply.hosts import covering, is_public
from lockgate.edge.supply.pieces import KeyPair
from lockgate.edge.supply.routed import Routed
from lockgate.edge.workloads import gateway_workloads
from lockgate.gateway.credentials import FILE_PAIR, files, secret_names
from lockgate.gateway.install import DEFAULT_SECRET_VOLUMES
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, istio, networking


def key_pairs(
    objects: Objects, routed: Sequence[Routed], hosts: Sequence[str], zones: Sequence[str]
) -> tuple[KeyPair, ...]:
    """The Secrets that Gateways' servers reference and nothing creates. A Secret that exists in another namespace than
    the gateway's is the user's mistake, and is reported."""
    made = set(made_secrets(objects))
    names = {name for _, name in made}
    workloads = gateway_workloads(objects.all(core.Service), objects.all(istio.Gateway))
    found: dict[Name, KeyPair] = {}
    for gateway in objects.all(istio.Gateway):
        spaces = [each.namespace for each in workloads if gateway.spec.selector.items() <= dict(each.labels).items()]
        for server in gateway.spec.servers:
            for name in credentials_of(server):
                for namespace in spaces if name not in names else ():
                    served = _names(server, gateway, routed, hosts, zones)
                    before = found.get((namespace, name))
                    together = tuple(dict.fromkeys((*(before.names if before else ()), *served)))
                    why = (
                        f"Secret {namespace}/{name}: created with a certificate of this edge's own CA for "
                        f"{', '.join(together)}, because Gateway {gateway.namespace}/{gateway.name} names it"
                    )
                    pair = before or KeyPair(namespace, name, (), "")
                    found[namespace, name] = replace(pair, names=together, why=why)
    return tuple(found.values())


def credentials_of(server: istio.Server) -> tuple[str, ...]:
    tls = server.tls
    if tls is None or tls.mode not in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
        return ()
    names = tuple(name for name in (tls.credential_name, *tls.credential_names) if name and "/" not in name)
    pair = f"{FILE_PAIR}{tls.server_certificate}~{tls.private_key}"
    as_in_a_tls_secret = [path.rpartition("/")[2] for path in files(pair)] == ["tls.crt", "tls.key"]
    return names or (secret_names(pair, DEFAULT_SECRET_VOLUMES) if as_in_a_tls_secret else ())


def made_secrets(objects: Objects) -> Iterator[Name]:
    """Secrets that exist, or that cert-manager or Reflector will create."""
    for secret in objects.all(core.Secret):
        yield secret.namespace, secret.name
        yield from _reflected(secret.name, secret.metadata.annotations)
    for certificate in objects.all(cm.Certificate):
        yield certificate.namespace, certificate.spec.secret_name
        if template := certificate.spec.secret_template:
            yield from _reflected(certificate.spec.secret_name, template.annotations)
    for ingress in objects.all(networking.Ingress):
        if ingress_shim.asks(ingress):
            yield from ((ingress.namespace, tls.secret_name) for tls in ingress.spec.tls if tls.secret_name)


_OF_REFLECTOR: Final = "reflector.v1.k8s.emberstack.com/"


def _reflected(name: str, annotations: Mapping[str, str]) -> Iterator[Name]:
    namespaces = annotations.get(f"{_OF_REFLECTOR}reflection-auto-namespaces", "")
    if annotations.get(f"{_OF_REFLECTOR}reflection-auto-enabled") == "true":
        yield from ((namespace.strip(), name) for namespace in namespaces.split(",") if namespace.strip())


def _names(
    server: istio.Server, gateway: istio.Gateway, routed: Iterable[Routed], hosts: Sequence[str], zones: Sequence[str]
) -> tuple[str, ...]:
    """The names in the certificate: the server's hosts, or those of the routes that use it."""
    own = [host for host in (each.rpartition("/")[2] for each in server.hosts) if is_public(host)]
    if own:
        return tuple(dict.fromkeys(own))
    bound = [
        host
        for each in routed
        if any(name.rpartition("/")[2] == gateway.name for name in each.gateways)
        for host in each.hosts
        if is_public(host)
    ]
    return covering(bound or hosts, zones) or (f"{gateway.name}.{gateway.namespace}.svc",)
