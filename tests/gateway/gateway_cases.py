"""Manifests in, gateway out: how the tables in `tests/cases/gateway` are read, and a gateway in their words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from gateway_tokens import jwks, token

from lockgate.gateway import compare, model
from lockgate.gateway.build import Built, Sources, build
from lockgate.gateway.mesh import Mesh, mesh
from lockgate.gateway.policies import model as policies
from lockgate.gateway.policies.authenticate import TokenRuling
from lockgate.gateway.policies.filtering import ModuleRuling
from lockgate.gateway.rate_limits import Limit, LocalLimit
from lockgate.gateway.request import Request
from lockgate.gateway.routing import Answered, Carried, Closed, Decision, Forwarded, NotAccepted, Outcome
from lockgate.gateway.workload import workload
from lockgate.resources import core, istio
from lockgate.resources.model import Resource
from lockgate.resources.model import kinds as registered
from lockgate.xds.gateway.unmatched import unmatched

CASES = Path(__file__).parents[1] / "cases" / "gateway"

GATEWAY_POD = """
apiVersion: v1
kind: Pod
metadata: {name: gateway, namespace: istio-system, labels: {app: istio-ingressgateway, istio: ingressgateway}}
spec: {containers: [{name: istio-proxy}]}
"""
GATEWAY_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system, labels: {istio: ingressgateway}}
spec:
  selector: {istio: ingressgateway}
  ports:
  - {name: status-port, port: 15021, targetPort: 15021}
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
"""
# What the policies of a row are about: web at 80 and 443, and bytes at 9000 and 9443.
POLICED = """
apiVersion: v1
kind: Service
metadata: {name: bytes, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports: [{name: tcp, port: 9000}, {name: tls, port: 9443}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: pair}}
  - {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}
  - {port: {number: 9443, name: tls, protocol: TLS}, hosts: ["*"], tls: {mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: istio-system}
spec:
  hosts: ["*"]
  gateways: [edge]
  http: [{directResponse: {status: 200}}]
  tcp: [{match: [{port: 9000}], route: [{destination: {host: a.default.svc.cluster.local}}]}]
  tls: [{match: [{port: 9443, sniHosts: ["*"]}], route: [{destination: {host: a.default.svc.cluster.local}}]}]
"""


@dataclass(frozen=True)
class Case:
    name: str
    manifests: list[dict[str, Any]]
    mesh: Mesh
    expected: Any

    def build(self) -> Built:
        objects = load_objects(self.manifests)
        services, namespaces = of(objects, core.Service), of(objects, core.Namespace)
        return build(sources(objects), workload(the_pod(objects), services, None, namespaces), mesh=self.mesh)


def load(file: str) -> list[Case]:
    return [_case(one) for one in yaml.safe_load((CASES / file).read_text())]


def _case(one: dict[str, Any]) -> Case:
    """The Pod and Service of istioctl come by themselves; `services` makes Services with an endpoint, `servers` a
    Gateway ``g`` and `http` its VirtualService ``v`` for a.example; `rules` are the specs of DestinationRules."""
    manifests = list(yaml.safe_load_all(one.get("manifests", "")))
    if "servers" in one or "http" in one:
        servers = one.get("servers", [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}])
        manifests.append(_networking("Gateway", "g", {"selector": {"istio": "ingressgateway"}, "servers": servers}))
    if "http" in one:
        manifests.append(
            _networking("VirtualService", "v", {"hosts": ["a.example"], "gateways": ["g"], "http": one["http"]})
        )
    for number, spec in enumerate(one.get("rules", ())):
        manifests.append(_networking("DestinationRule", f"d{number}", spec))
    if one.get("workload", True):
        manifests += [yaml.safe_load(GATEWAY_POD), yaml.safe_load(GATEWAY_SERVICE)]
    for name, ports in one.get("services", {}).items():
        manifests += backend(name, ports)
    if "policies" in one:
        manifests += [*yaml.safe_load_all(POLICED), *backend("default/a", {"tcp": 80})]
        manifests.append(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pair", "namespace": "istio-system"}}
        )
        manifests += [_policy(policy) for policy in one["policies"]]
    for name in one.get("secrets", ["istio-system/pair"] if "policies" in one else ()):
        namespace, _, secret = name.partition("/")
        manifests.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, "namespace": namespace}})
    return Case(
        one["case"], [m for m in manifests if m], mesh(one.get("mesh", {})), one.get("expect", one.get("faults"))
    )


def _networking(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _policy(given: dict[str, Any]) -> dict[str, Any]:
    """A policy with its spec's fields beside its name: of the gateway's namespace unless it names another."""
    spec = dict(given)
    labels = spec.pop("labels", None)
    kind = spec.pop("kind", "AuthorizationPolicy")
    metadata = {"namespace": "istio-system"} | {
        name: spec.pop(name) for name in ("name", "namespace", "annotations", "creationTimestamp") if name in spec
    }
    for rule in spec.get("jwtRules", ()):
        if rule.get("jwks") == "keys":
            rule["jwks"] = jwks("secret")
    if labels is not None:
        spec["selector"] = {"matchLabels": labels}
    return {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def backend(name: str, ports: dict[str, int]) -> list[dict[str, Any]]:
    """A Service ``namespace/name`` with ports by name, and an EndpointSlice at 10.0.0.1 with the same numbers."""
    namespace, _, service = name.partition("/")
    pairs = [{"name": port, "port": number} for port, number in ports.items()]
    labels = {"kubernetes.io/service-name": service}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service, "namespace": namespace},
            "spec": {"ports": pairs},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{service}-1", "namespace": namespace, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"]}],
            "ports": pairs,
        },
    ]


def sources(objects: list[Resource]) -> Sources:
    return Sources(
        gateways=of(objects, istio.Gateway),
        virtual_services=of(objects, istio.VirtualService),
        destination_rules=of(objects, istio.DestinationRule),
        service_entries=of(objects, istio.ServiceEntry),
        services=of(objects, core.Service),
        endpoint_slices=of(objects, core.EndpointSlice),
        pods=of(objects, core.Pod),
        nodes=of(objects, core.Node),
        namespaces=of(objects, core.Namespace),
        workload_entries=of(objects, istio.WorkloadEntry),
        proxy_configs=of(objects, istio.ProxyConfig),
        secrets={(one.namespace, one.name) for one in of(objects, core.Secret)},
        envoy_filters=of(objects, istio.EnvoyFilter),
        telemetries=of(objects, istio.Telemetry),
        wasm_plugins=of(objects, istio.WasmPlugin),
        authorization_policies=of(objects, istio.AuthorizationPolicy),
        request_authentications=of(objects, istio.RequestAuthentication),
    )


def load_objects(manifests: list[dict[str, Any]]) -> list[Resource]:
    return [_typed(manifest) for manifest in manifests]


def of(objects: list[Resource], kind: type[Any]) -> list[Any]:
    return [one for one in objects if isinstance(one, kind)]


def _typed(manifest: dict[str, Any]) -> Resource:
    group = manifest["apiVersion"].rpartition("/")[0]
    manifest.setdefault("metadata", {}).setdefault("namespace", "default")
    return registered()[group, manifest["kind"]].model_validate(manifest)


def the_pod(objects: list[Resource]) -> core.Pod:
    pod: core.Pod = next(one for one in of(objects, core.Pod) if "istio" in one.metadata.labels)
    return pod


# --- a gateway in the tables' words ------------------------------------------------------------------------------


def listeners(gateway: model.Gateway) -> dict[str, list[str]]:
    return {one.name: [_chain(chain) for chain in one.filter_chains] for one in gateway.listeners}


def _chain(chain: model.FilterChain) -> str:
    words = [",".join(chain.server_names) or "any"]
    if chain.tls:
        words.append("tls " + " ".join(chain.tls.credentials))
        if chain.tls.validation:
            asks = "requires" if chain.tls.validation.required else "asks"
            words.append(f"{asks} client {chain.tls.validation.credential}")
    if isinstance(chain.filter, model.Http):
        words.append(chain.filter.routes)
    else:
        words.append("tcp " + _weighted(chain.filter.clusters))
    return " | ".join(words)


def filters(gateway: model.Gateway) -> list[str]:
    """The filters of chains that parse HTTP: actions of access control, JWT, and names of modules."""
    named: list[str] = []
    for each in gateway.filters.http if gateway.filters else ():
        match each:
            case policies.Rbac():
                named.append(each.action)
            case policies.Jwt():
                named.append("JWT")
            case policies.Wasm():
                named.append(each.name)
    return named


def metrics(gateway: model.Gateway) -> dict[str, list[str]]:
    """What Telemetries change of each family of metrics."""
    return {
        family: [
            *(["disabled"] if change.disabled else []),
            *(f"no {name}" if value is None else f"{name}={value}" for name, value in change.tags),
        ]
        for family, change in gateway.telemetry.metrics
    }


def patched(gateway: model.Gateway) -> list[int]:
    """The places of an EnvoyFilter's patches that change something."""
    return [
        int(patch.origin.path[2])
        for patch in gateway.patches
        if patch.origin and unmatched(patch, gateway, gateway.clusters) is None
    ]


def hosts(configuration: model.RouteConfiguration) -> dict[str, Any]:
    return {
        f"{host.name} {' '.join(host.domains)}{' -> https' if host.require_tls else ''}": [
            described(route) for route in host.routes
        ]
        for host in configuration.virtual_hosts
    }


def described(route: model.Route) -> str:
    words = [_text(route.match.path)]
    words += [f"{'not ' if h.invert else ''}{h.name}={_text(h.value)}" for h in route.match.headers]
    words += [f"?{q.name}={_text(q.value)}" for q in route.match.query]
    match route.action:
        case model.Forward(clusters):
            words += ["=>", _weighted(clusters)]
        case model.Redirect() as redirect:
            port = "" if redirect.port is None else f":{redirect.port}"
            words += [
                "=>",
                str(redirect.status),
                f"{redirect.scheme}//{redirect.host}{port}{redirect.path}{redirect.prefix}",
            ]
        case model.DirectResponse(status, body):
            words += ["=>", str(status), body.decode()]
    return " ".join(word for word in words if word)


def _text(match: model.ValueMatch) -> str:
    match match:
        case model.Exact(value, ignore_case):
            return f"={value}{'~' if ignore_case else ''}"
        case model.Prefix(value, ignore_case):
            return f"{value}*{'~' if ignore_case else ''}"
        case model.Suffix(value):
            return f"*{value}"
        case model.Regex(pattern):
            return f"/{pattern}/"
        case model.Present():
            return "any"


def _weighted(clusters: tuple[model.WeightedCluster, ...]) -> str:
    if len(clusters) == 1:
        return clusters[0].cluster
    return " + ".join(f"{part.weight} {part.cluster}" for part in clusters)


def request(words: dict[str, Any]) -> Request:
    """``get: https://host:port/path`` with optional `sni`, `method`, `headers`, `peer`. Ports are the listener's.

    `jwt` are the claims of a token in the header Authorization; in other places ``JWT`` stands for it. It is signed
    with the right key, or with `key`.
    """
    headers = dict(words.get("headers", {}))
    signed = ""
    if "jwt" in words:
        claims = words["jwt"]
        signed = token(claims, words.get("key", "secret")) if isinstance(claims, dict) else claims
        if not any("JWT" in value for value in (*headers.values(), words["get"])):
            headers["Authorization"] = "Bearer JWT"
    scheme, _, rest = words["get"].partition("://")
    authority, slash, path = rest.partition("/")
    name, _, port = authority.partition(":")
    tls = scheme == "https"
    return Request(
        port=int(port) if port else 8443 if tls else 8080,
        authority=words.get("host", name),
        target=(slash + path or "/").replace("JWT", signed),
        tls=tls,
        sni=words.get("sni", name) if tls else None,
        method=words.get("method", "GET"),
        headers=tuple((name, value.replace("JWT", signed)) for name, value in headers.items()),
        peer=words.get("peer", "127.0.0.1"),
    )


def ruled(decision: Decision) -> str:
    """The rule that decided last, or the conditions that failed."""
    last = decision.rulings[-1]
    if isinstance(last, TokenRuling):
        return last.status
    if isinstance(last, ModuleRuling):
        return last.module.name
    if last.rule:
        return last.rule.name
    return "; ".join(each.reason for each in last.unmatched)


def limited(limit: Limit) -> str:
    """What a rate limit may do: its status and bucket, what its service is asked, or why it does nothing."""
    if limit.idle:
        return limit.idle
    if isinstance(limit, LocalLimit):
        assert limit.bucket is not None
        return f"{limit.status} after {limit.bucket.tokens}, then {limit.bucket.fill} each {limit.bucket.interval:g} s"
    asked = "; ".join(" ".join(f"{name}={value}" for name, value in each) for each in limit.asked)
    return f"{limit.status} by {limit.domain}: {asked}"


def outcome(found: Outcome) -> str:
    match found:
        case NotAccepted():
            return "not accepted"
        case Closed(flag):
            return f"closed {flag}".strip()
        case Answered(status, flag, location, body):
            return " ".join(part for part in (str(status), flag, location, body.decode()) if part)
        case Carried(clusters):
            return "tcp " + _weighted(clusters)
        case Forwarded(upstreams):
            return " + ".join(f"{one.cluster} {one.authority}{one.target}" for one in upstreams)


__all__ = [
    "Case",
    "compare",
    "described",
    "filters",
    "hosts",
    "limited",
    "listeners",
    "load",
    "metrics",
    "outcome",
    "patched",
    "request",
    "ruled",
]
