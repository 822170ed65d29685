"""What the manifests take for granted, decided: zones, certificates, Secrets and Services that exist elsewhere.

Nothing here acts. Each piece carries the sentence with which the user is told of it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import NAMESPACE_DNS, uuid5

from lockgate.edge.location import Place
from lockgate.edge.options import Options
from lockgate.edge.user_pools import UserPoolClient, user_pool_clients
from lockgate.edge.web_acls import EmptyWebAcl, web_acls
from lockgate.resources.arns import partition_of
from lockgate.resources.kinds import (
    Certificate,
    ClusterIssuer,
    Gateway,
    Ingress,
    IngressClass,
    IngressClassParams,
    Issuer,
    IstioOperator,
    Namespace,
    Route53,
    Secret,
    Service,
    VirtualService,
)
from lockgate.resources.model import JsonObject, Resource, ResourceT

STANDING_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})

NAMES = 10  # of an ACM certificate, by default

_CERTIFICATE_ARN = "alb.ingress.kubernetes.io/certificate-arn"
_CREATED = "alb.ingress.kubernetes.io/create-acm-cert"
_LISTEN_PORTS = "alb.ingress.kubernetes.io/listen-ports"
_LABEL = "lockgate.dev/supplied"
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gob", "gov", "go", "ne", "net", "or", "org"})


@dataclass(frozen=True, slots=True)
class Zone:
    name: str
    zone_id: str | None
    why: str


@dataclass(frozen=True, slots=True)
class AcmCertificate:
    arn: str
    names: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key that manifests name: the embedded AWS API must know it."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Object:
    manifest: JsonObject = field(repr=False)  # may be a Secret
    why: str


@dataclass(frozen=True, slots=True)
class Supply:
    """Everything that is filled in, and where in AWS the edge is."""

    account: str
    region: str
    hosts: tuple[str, ...]
    zones: tuple[Zone, ...]
    certificates: tuple[AcmCertificate, ...]
    credentials: tuple[Credential, ...]
    objects: tuple[Object, ...]
    cluster_resource_namespace: str
    user_pool_clients: tuple[UserPoolClient, ...] = ()
    web_acls: tuple[EmptyWebAcl, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user is told, a line each."""
        pieces: tuple[Zone | AcmCertificate | UserPoolClient | EmptyWebAcl | Object, ...] = (
            *self.zones, *self.certificates, *self.user_pool_clients, *self.web_acls, *self.objects,
        )  # fmt: skip
        return tuple(piece.why for piece in pieces if piece.why)


def supply(
    resources: Sequence[Resource],
    options: Options,
    place: Place,
    *,
    installed: Iterable[Service] = (),
    secret_access_key: str,
) -> Supply:
    """`installed` are the Services that IstioOperators lead to; `secret_access_key` is for Secrets that are missing."""
    services = {(service.namespace or "default", service.name) for service in _of(resources, Service)}
    services |= {(service.namespace, service.name) for service in installed}
    arns = _certificate_arns(resources)
    pools = tuple(user_pool_clients(resources, options.user_pool_clients, secret_access_key))
    firewalls = tuple(web_acls(resources))
    issuers: list[Issuer | ClusterIssuer] = [*_of(resources, Issuer), *_of(resources, ClusterIssuer)]
    hosts = tuple(dict.fromkeys(_hosts(resources)))
    named = hosts or tuple(dict.fromkeys(n for c in _of(resources, Certificate) for n in c.spec.dns_names))
    zones = tuple(_zones(resources, issuers, named, options.hosted_zones))
    cluster_namespace = next(
        (issuer.namespace for issuer in _of(resources, ClusterIssuer) if issuer.namespace), "cert-manager"
    )
    names = covering(named, [zone.name for zone in zones])
    secrets, credentials = _secrets(resources, issuers, cluster_namespace, secret_access_key)
    objects = (*_services(resources, services), *secrets)
    certificates = [
        AcmCertificate(arn, names, f"ACM certificate {_short(arn)}: requested for {', '.join(names)}")
        for arn in arns
        if names
    ]
    have = [name for certificate in certificates for name in certificate.names]
    certificates += _discovered(resources, have, [zone.name for zone in zones], place)
    return Supply(
        account=place.account,
        region=place.region,
        hosts=hosts,
        zones=zones,
        certificates=tuple(certificates),
        credentials=credentials,
        objects=(*_namespaces(resources, objects), *objects),
        cluster_resource_namespace=cluster_namespace,
        user_pool_clients=pools,
        web_acls=firewalls,
    )


def covering(hosts: Iterable[str], zones: Sequence[str]) -> tuple[str, ...]:
    """The names a team would ask a certificate for: each zone's apex and wildcard, deeper hosts by their parent."""
    names: dict[str, None] = {}
    for host in sorted(hosts, key=lambda each: (each.count("."), each)):
        bare = host.removeprefix("*.")
        zone = _zone_of(bare, zones)
        if zone is None:
            names[host] = None
            continue
        names[zone] = None
        names[f"*.{zone}"] = None
        if bare != zone and bare.count(".") > zone.count(".") + (0 if host.startswith("*.") else 1):
            names[f"*.{bare}" if host.startswith("*.") else f"*.{bare.partition('.')[2]}"] = None
    return tuple(names)


def registrable(host: str) -> str:
    """The name that a team would own a zone for: ``example.com`` of ``a.b.example.com``, ``example.co.uk`` likewise.

    Without the public suffix list, by the shape of the name; a zone that an issuer names goes before.
    """
    labels = host.removeprefix("*.").split(".")
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS else 2
    return ".".join(labels[-keep:])


def _of(resources: Iterable[Resource], kind: type[ResourceT]) -> list[ResourceT]:
    return [resource for resource in resources if isinstance(resource, kind)]


def _certificate_arns(resources: Sequence[Resource]) -> list[str]:
    arns: dict[str, None] = {}
    for ingress in _of(resources, Ingress):
        for part in ingress.metadata.annotations.get(_CERTIFICATE_ARN, "").split(","):
            if arn := part.strip():
                arns[arn] = None
    for parameters in _of(resources, IngressClassParams):
        arns.update(dict.fromkeys(parameters.spec.certificate_arn))
    return list(arns)


def _discovered(
    resources: Sequence[Resource], have: Sequence[str], zones: Sequence[str], place: Place
) -> Iterator[AcmCertificate]:
    """For Ingresses that name no certificate: the controller looks for one by host in the account, which is empty."""
    naming = {each.name for each in _of(resources, IngressClassParams) if each.spec.certificate_arn}
    classes = {
        each.name
        for each in _of(resources, IngressClass)
        if each.spec.parameters is not None and each.spec.parameters.name in naming
    }
    for ingress in _of(resources, Ingress):
        written = ingress.metadata.annotations
        listens = "HTTPS" in written.get(_LISTEN_PORTS, "")
        if (
            not listens
            or _CERTIFICATE_ARN in written
            or _CREATED in written
            or ingress.spec.ingress_class_name in classes
        ):
            continue
        hosts = [host for host in dict.fromkeys(_hosts([ingress])) if not _covered(host, have)]
        names = covering(hosts, zones)
        have = [*have, *names]
        for start in range(0, len(names), NAMES):
            some = names[start : start + NAMES]
            id_ = uuid5(NAMESPACE_DNS, ",".join(some))
            arn = f"arn:{partition_of(place.region)}:acm:{place.region}:{place.account}:certificate/{id_}"
            why = f"Ingress {ingress.namespace}/{ingress.name} finds its certificate by host"
            yield AcmCertificate(arn, some, f"ACM certificate {_short(arn)}: requested for {', '.join(some)}, as {why}")


def _covered(host: str, names: Iterable[str]) -> bool:
    return any(name in (host, f"*.{host.partition('.')[2]}") for name in names)


def _hosts(resources: Sequence[Resource]) -> Iterator[str]:
    for virtual_service in _of(resources, VirtualService):
        if any(gateway != "mesh" for gateway in virtual_service.spec.gateways):
            yield from filter(_is_public, virtual_service.spec.hosts)
    for ingress in _of(resources, Ingress):
        yield from (rule.host for rule in ingress.spec.rules if _is_public(rule.host))
        yield from (host for tls in ingress.spec.tls for host in tls.hosts if _is_public(host))
    for gateway in _of(resources, Gateway):
        for server in gateway.spec.servers:
            yield from filter(_is_public, (host.rpartition("/")[2] for host in server.hosts))


def _is_public(host: str) -> bool:
    return "." in host.removeprefix("*.") and not host.endswith((".svc", ".cluster.local", ".local"))


def _route53(issuers: Iterable[Issuer | ClusterIssuer]) -> Iterator[tuple[Issuer | ClusterIssuer, Route53]]:
    for issuer in issuers:
        for solver in issuer.spec.acme.solvers if issuer.spec.acme else ():
            if solver.dns01 and solver.dns01.route53:
                yield issuer, solver.dns01.route53


def _zones(
    resources: Sequence[Resource],
    issuers: Iterable[Issuer | ClusterIssuer],
    hosts: Sequence[str],
    settled: Mapping[str, str],
) -> Iterator[Zone]:
    made: dict[str, str | None] = {}
    for name, id_ in settled.items():
        made[name] = id_
        yield Zone(name, id_, f"hosted zone {name}: created with the id {id_}, as lockgate.yaml says")
    for issuer in issuers:
        for solver in issuer.spec.acme.solvers if issuer.spec.acme else ():
            route53 = solver.dns01.route53 if solver.dns01 else None
            if route53 is None:
                continue
            wanted = list(solver.selector.dns_zones) if solver.selector else []
            if not wanted:
                names = list(solver.selector.dns_names) if solver.selector else []
                names = names or [
                    name
                    for certificate in _of(resources, Certificate)
                    if certificate.spec.issuer_ref.name == issuer.name
                    for name in certificate.spec.dns_names
                ]
                wanted = [registrable(name) for name in names]
            for name in dict.fromkeys(zone.rstrip(".").lower() for zone in wanted):
                if made.get(name):
                    continue
                zone_id = route53.hosted_zone_id or None
                if zone_id in made.values():
                    zone_id = None  # one id is one zone; this solver names several
                made[name] = zone_id
                told = f" with the id {zone_id}" if zone_id else ""
                yield Zone(
                    name, zone_id, f"hosted zone {name}: created{told}, as {issuer.KIND.kind} {issuer.name} says"
                )
    for host in hosts:
        if _zone_of(host.removeprefix("*."), list(made)) is None:
            name = registrable(host)
            made[name] = None
            yield Zone(name, None, f"hosted zone {name}: created for {host}")


def _zone_of(host: str, zones: Iterable[str]) -> str | None:
    fitting = [zone for zone in zones if host == zone or host.endswith(f".{zone}")]
    return max(fitting, key=len, default=None)


def _secrets(
    resources: Sequence[Resource], issuers: Sequence[Issuer | ClusterIssuer], cluster_namespace: str, secret: str
) -> tuple[tuple[Object, ...], tuple[Credential, ...]]:
    """Secrets with AWS keys that issuers name, and the keys as the AWS API must know them."""
    existing = {(each.namespace or "default", each.name): each for each in _of(resources, Secret)}
    made: dict[tuple[str, str], dict[str, str]] = {}
    credentials: dict[str, str] = {}

    def value(namespace: str, name: str, key: str, otherwise: str) -> str:
        if there := existing.get((namespace, name)):
            return there.decoded.get(key, b"").decode("utf-8", "replace")
        return made.setdefault((namespace, name), {}).setdefault(key, otherwise)

    for issuer, route53 in _route53(issuers):
        namespace = cluster_namespace if isinstance(issuer, ClusterIssuer) else issuer.namespace or "default"
        key_id, ref = route53.access_key_id.strip(), route53.access_key_id_secret_ref
        if not key_id and ref:
            key_id = value(namespace, ref.name, ref.key, "AKIAIOSFODNN7EXAMPLE")
        if key_id and (ref := route53.secret_access_key_secret_ref):
            credentials[key_id] = value(namespace, ref.name, ref.key, secret).strip()
    objects = tuple(
        Object(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace, "labels": {_LABEL: "true"}},
                "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
            },
            f"Secret {namespace}/{name}: made, with a key that only this edge's AWS API knows",
        )
        for (namespace, name), data in made.items()
    )
    return objects, tuple(Credential(key, text) for key, text in credentials.items())


def _services(resources: Sequence[Resource], existing: set[tuple[str, str]]) -> Iterator[Object]:
    """Services that routes lead to and no manifest has: applications that are deployed by other means."""
    wanted: dict[tuple[str, str], dict[int, str]] = {}
    for virtual_service in _of(resources, VirtualService):
        for host, port in _destinations(virtual_service):
            if (key := _service_of(host, virtual_service.namespace or "default")) and key not in existing:
                wanted.setdefault(key, {}).setdefault(port or 80, virtual_service.name)
    for (namespace, name), ports in wanted.items():
        yield Object(
            _service(namespace, name, {f"http-{port}": port for port in ports}),
            f"Service {namespace}/{name}: made, because VirtualService {next(iter(ports.values()))} leads to it",
        )
    yield from _ingress_services(resources, existing | wanted.keys())


def _ingress_services(resources: Sequence[Resource], existing: set[tuple[str, str]]) -> Iterator[Object]:
    """The gateway's Service, where an Ingress leads to it and Istio was installed by other means."""
    gateways = [gateway for gateway in _of(resources, Gateway) if gateway.spec.selector]
    if not gateways or _of(resources, IstioOperator):
        return
    made: set[tuple[str, str]] = set()
    for ingress in _of(resources, Ingress):
        for rule in ingress.spec.rules:
            for path in rule.http.paths if rule.http else ():
                backend = path.backend.service
                key = (ingress.namespace or "default", backend.name if backend else "")
                if backend is None or backend.port.name == "use-annotation" or key in existing | made:
                    continue
                gateway = next((each for each in gateways if (each.namespace or "default") == key[0]), gateways[0])
                made.add(key)
                manifest = _service(*key, {"status-port": 15021, "http2": 80, "https": 443}, type_="NodePort")
                manifest["spec"]["selector"] = dict(gateway.spec.selector)
                for port, target in zip(manifest["spec"]["ports"], (15021, 8080, 8443), strict=True):
                    port["targetPort"] = target
                yield Object(
                    manifest,
                    f"Service {key[0]}/{key[1]}: made as Istio's ingress gateway, because Ingress "
                    f"{ingress.name} leads to it",
                )


def _destinations(virtual_service: VirtualService) -> Iterator[tuple[str, int | None]]:
    for http in virtual_service.spec.http:
        for route in http.route:
            port = route.destination.port
            yield route.destination.host, port.number if port else None
        if http.mirror:
            yield http.mirror.host, http.mirror.port.number if http.mirror.port else None
        for mirror in http.mirrors:
            port = mirror.destination.port
            yield mirror.destination.host, port.number if port else None
    for routes in (virtual_service.spec.tls, virtual_service.spec.tcp):
        for each in routes:
            for weighted in each.route:
                port = weighted.destination.port
                yield weighted.destination.host, port.number if port else None


def _service_of(host: str, namespace: str) -> tuple[str, str] | None:
    """Istio's reading of a destination: a name without a dot is of the VirtualService's namespace."""
    if "." not in host:
        return (namespace, host)
    name, _, rest = host.partition(".")
    there, _, suffix = rest.partition(".")
    return (there, name) if suffix == "svc.cluster.local" else None


def _service(namespace: str, name: str, ports: dict[str, int], *, type_: str = "ClusterIP") -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {_LABEL: "true"}},
        "spec": {
            "type": type_,
            "ports": [{"name": key, "port": port, "targetPort": port} for key, port in ports.items()],
        },
    }


def _namespaces(resources: Sequence[Resource], objects: Iterable[Object]) -> Iterator[Object]:
    there = {namespace.name for namespace in _of(resources, Namespace)} | STANDING_NAMESPACES
    wanted = [resource.namespace for resource in resources if resource.KIND.namespaced and resource.namespace]
    wanted += [each.manifest["metadata"]["namespace"] for each in objects]
    wanted += ["istio-system"] if any(isinstance(each, IstioOperator) for each in resources) else []
    for name in dict.fromkeys(wanted):
        if name not in there:
            yield Object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "")


def _short(arn: str) -> str:
    return arn.rpartition("/")[2] or arn
