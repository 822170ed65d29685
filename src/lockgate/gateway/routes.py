"""Translates a VirtualService's http rules to routes.

Source: istio/istio `pilot/pkg/networking/core/route/route.go`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from lockgate.gateway.clusters import cluster_name
from lockgate.gateway.destinations import Rule
from lockgate.gateway.durations import seconds
from lockgate.gateway.headers import authority, header_changes
from lockgate.gateway.hosts import fully_qualified, gateway_name
from lockgate.gateway.matches import regexes, route_match, text_match
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import (
    UNCHANGED,
    Abort,
    Action,
    Cors,
    Delay,
    DirectResponse,
    Exact,
    Forward,
    HashCookie,
    HashHeader,
    HashPolicy,
    HashQuery,
    HashSourceIp,
    Mirror,
    PathRewrite,
    Redirect,
    Regex,
    RegexRewrite,
    Route,
    TextMatch,
    WeightedCluster,
)
from lockgate.gateway.registry import Host
from lockgate.gateway.retries import retry
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.codes import gateway as codes
from lockgate.resources.codes import istio as istio_codes
from lockgate.resources.faults import Fault, Origin

_GRPC = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HttpRule:
    """One http rule, with the namespace of its object, in which short names are resolved."""

    route: istio.HTTPRoute
    origin: Origin

    @property
    def namespace(self) -> str:
        return self.origin.key.namespace


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """A VirtualService's http rules with delegates merged. `hosts` are the destinations that they name."""

    service: istio.VirtualService
    rules: tuple[HttpRule, ...]
    hosts: tuple[str, ...]
    faults: tuple[Fault, ...] = ()


class Reference(NamedTuple):
    """A cluster that a route references."""

    host: str
    port: int
    subset: str

    @property
    def cluster(self) -> str:
        return cluster_name(self.host, self.port, self.subset)


@dataclass(frozen=True, slots=True, eq=False)
class Translated:
    """Routes, and their references, each with its place in a manifest."""

    routes: tuple[Route, ...]
    references: tuple[tuple[Reference, Origin], ...]
    faults: tuple[Fault, ...]
    claims: tuple[tuple[str, Origin], ...] = ()  # of JWTs, which only a RequestAuthentication reads


Lookup = tuple[tuple[str, Host | None, Rule | None], ...]  # the host's name, its service, its rule


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """The server that routes are built for: its Gateway's name, port and workload."""

    gateway: str
    port: int
    workload: Workload
    mesh: Mesh
    tls: bool = False  # it has tls settings


def translate(rules: Rules, server: Server, lookup: Lookup) -> Translated:
    """The routes of a VirtualService on a server. Rules after one that matches everything are dropped."""
    return _Translation(server, {name: (host, rule) for name, host, rule in lookup}, rules).run()


class _Translation:
    def __init__(self, server: Server, lookup: Mapping[str, tuple[Host | None, Rule | None]], rules: Rules) -> None:
        self._server = server
        self._rules = rules
        self._virtual_service = rules.service.key
        self._lookup = lookup
        self._references: dict[Reference, Origin] = {}
        self._faults: list[Fault] = []
        self._claims: list[tuple[str, Origin]] = []

    def run(self) -> Translated:
        routes: list[Route] = []
        rules = self._rules
        for index, rule in enumerate(rules.rules):
            found, last = self._rule(rule)
            routes += found
            if last:
                for later in rules.rules[index + 1 :] if _takes_everything(rule.route) else ():
                    self._faults.append(istio_codes.UNREACHABLE_RULE.at(later.origin))
                break
        faults = (*rules.faults, *self._faults)
        return Translated(tuple(routes), tuple(self._references.items()), faults, tuple(self._claims))

    def _rule(self, rule: HttpRule) -> tuple[list[Route], bool]:
        """The routes of one rule, one per match, and whether later rules are unreachable."""
        base = self._base(rule)
        if not rule.route.match:
            return ([base] if base else []), True
        routes: list[Route] = []
        for index, match in enumerate(rule.route.match):
            if base is None or not self._applies(match, rule.namespace):
                continue
            origin = Origin(rule.origin.key, (*rule.origin.path, "match", index))
            made = route_match(match)
            if bad := next(regexes(made), None):
                self._faults.append(codes.REGEX.at(origin, pattern=bad[0], reason=bad[1]))
                continue
            if made.claims:
                self._claims.append((".".join(made.claims[0].path), origin.under("headers")))
            route = replace(
                base,
                match=made,
                name=".".join(part for part in (rule.route.name, match.name) if part),
                stat_prefix=match.stat_prefix,
                origin=origin,
            )
            routes.append(route)
            if made.catches_all:
                return routes, True
        return routes, False

    def _applies(self, match: istio.HTTPMatchRequest, namespace: str) -> bool:
        if match.port and match.port != self._server.port:
            return False
        if match.gateways:
            return self._server.gateway in (gateway_name(name, namespace) for name in match.gateways)
        workload = self._server.workload
        return workload.selected_by(match.source_labels) and match.source_namespace in ("", workload.namespace)

    def _base(self, rule: HttpRule) -> Route | None:
        """The rule's route without a match; None if Envoy would reject it."""
        route, origin = rule.route, rule.origin
        action = self._action(rule)
        if action is None:
            return None
        request, response = header_changes(route.headers)
        if len(route.route) == 1 and isinstance(action, Forward):
            own_request, own_response = header_changes(route.route[0].headers)
            request, response = request.then(own_request), response.then(own_response)
        delay, abort = self._fault_injection(rule)
        return Route(
            match=route_match(None),
            action=action,
            name=route.name,
            request_headers=request,
            response_headers=response,
            delay=delay,
            abort=abort,
            cors=self._cors(route.cors_policy, origin),
            origin=origin,
            virtual_service=self._virtual_service,
        )

    # --- actions -------------------------------------------------------------------------------------------------

    def _action(self, rule: HttpRule) -> Action | None:
        route = rule.route
        if route.redirect:
            return self._redirect(route.redirect, rule.origin)
        if route.direct_response:
            return self._direct_response(route.direct_response, rule.origin)
        if route.route:
            return self._forward(rule)
        return None

    def _direct_response(self, response: istio.HTTPDirectResponse, origin: Origin) -> DirectResponse | None:
        if 200 <= response.status < 600:
            return _direct_response(response)
        reason = f"status {response.status} is not between 200 and 599"
        self._faults.append(
            codes.ENVOY_VALUE.at(origin.under("directResponse"), what="the direct response", reason=reason)
        )
        return None

    def _redirect(self, redirect: istio.HTTPRedirect, origin: Origin) -> Redirect | None:
        status = redirect.redirect_code or 301
        if status not in (301, 302, 303, 307, 308):
            self._faults.append(codes.REDIRECT_CODE.at(origin.under("redirect"), status=status))
            return None
        port = redirect.port
        if redirect.derive_port == "FROM_REQUEST_PORT":
            port = self._server.port
        scheme = redirect.scheme or ("https" if self._server.tls else "http")
        if (scheme, port) in (("http", 80), ("https", 443)):
            port = None
        return Redirect(
            status=status,  # type: ignore[arg-type]  # one of the five
            scheme=redirect.scheme,
            host=redirect.authority,
            port=port or None,
            path=redirect.uri,
            prefix=redirect.prefix_rewrite,
        )

    def _forward(self, rule: HttpRule) -> Forward | None:
        route, namespace = rule.route, rule.namespace
        several = len(route.route) > 1
        chosen = [part for part in route.route if part.weight > 0] if several else list(route.route)
        if not chosen:
            return None
        clusters = tuple(self._weighted(part, rule.origin, namespace, several) for part in chosen)
        hashing = tuple(policy for part in chosen for policy in self._hash_policies(part.destination, namespace))
        headers = route.headers.request if route.headers else None
        host = (route.rewrite.authority if route.rewrite else "") or authority(headers)
        if not several and not host:
            host = clusters[0].host_rewrite
        rewrite = _rewrite(route.rewrite)
        if isinstance(rewrite, RegexRewrite) and (bad := next(regexes(Regex(rewrite.pattern)), None)):
            self._faults.append(codes.REGEX.at(rule.origin.under("rewrite"), pattern=bad[0], reason=bad[1]))
            return None
        return Forward(
            clusters=clusters,
            timeout=seconds(route.timeout) or None,
            retry=retry(route.retries, self._server.mesh, bool(hashing) and not several),
            rewrite=rewrite,
            host_rewrite=host,
            mirrors=tuple(self._mirrors(route, rule.origin, namespace)),
            hash_policies=hashing,
        )

    def _weighted(
        self, part: istio.HTTPRouteDestination, origin: Origin, namespace: str, several: bool
    ) -> WeightedCluster:
        request, response = header_changes(part.headers) if several else (UNCHANGED, UNCHANGED)
        return WeightedCluster(
            cluster=self._cluster(part.destination, origin, namespace),
            weight=part.weight if several else 1,
            request_headers=request,
            response_headers=response,
            host_rewrite=authority(part.headers.request if part.headers else None),
        )

    def _cluster(self, destination: istio.Destination, origin: Origin, namespace: str) -> str:
        name = fully_qualified(destination.host, namespace, self._server.mesh.domain)
        host = self._lookup.get(name, (None, None))[0]
        reference = reference_to(destination, name, host, self._server.port)
        self._references.setdefault(reference, origin)
        if host and len(host.ports) > 1 and destination.port is None:
            ports = ", ".join(str(port.number) for port in host.ports)
            self._faults.append(istio_codes.PORT_REQUIRED.at(origin, host=name, ports=ports, port=reference.port))
        return reference.cluster

    def _mirrors(self, route: istio.HTTPRoute, origin: Origin, namespace: str) -> Iterator[Mirror]:
        for policy in route.mirrors:
            percent = policy.percentage.value if policy.percentage else 100.0
            if percent > 0:
                yield Mirror(self._cluster(policy.destination, origin, namespace), percent)
        if route.mirror:
            percent = 100.0
            if route.mirror_percentage:
                percent = route.mirror_percentage.value
            elif route.mirror_percent is not None:
                percent = float(route.mirror_percent)
            if percent > 0:
                yield Mirror(self._cluster(route.mirror, origin, namespace), percent)

    def _hash_policies(self, destination: istio.Destination, namespace: str) -> Iterator[HashPolicy]:
        name = fully_qualified(destination.host, namespace, self._server.mesh.domain)
        rule = self._lookup.get(name, (None, None))[1]
        port = destination.port.number if destination.port else None
        hashing = rule.hashing(port, destination.subset) if rule else None
        if hashing is None:
            return
        if hashing.http_header_name:
            yield HashHeader(hashing.http_header_name)
        elif hashing.http_cookie:
            cookie = hashing.http_cookie
            attributes = tuple((each.name, each.value) for each in cookie.attributes)
            yield HashCookie(cookie.name, cookie.path, seconds(cookie.ttl), attributes)
        elif hashing.use_source_ip:
            yield HashSourceIp()
        elif hashing.http_query_parameter_name:
            yield HashQuery(hashing.http_query_parameter_name)

    # --- faults and cors -----------------------------------------------------------------------------------------

    def _fault_injection(self, rule: HttpRule) -> tuple[Delay | None, Abort | None]:
        injection = rule.route.fault
        if injection is None:
            return None, None
        delay = abort = None
        if injection.delay and (wait := seconds(injection.delay.fixed_delay)):
            share = injection.delay.percentage
            delay = Delay(wait, share.value if share else float(injection.delay.percent))
        if injection.abort:
            percent = injection.abort.percentage.value if injection.abort.percentage else 0.0
            grpc = injection.abort.grpc_status
            if grpc:
                abort = Abort(percent, grpc_status=_grpc_status(grpc))
            elif injection.abort.http_status:
                status = injection.abort.http_status
                if 200 <= status < 600:
                    abort = Abort(percent, http_status=status)
                else:
                    reason = f"status {status} is not between 200 and 599"
                    what = "the abort fault"
                    self._faults.append(codes.ENVOY_VALUE.at(rule.origin.under("fault"), what=what, reason=reason))
        return delay, abort

    def _cors(self, cors: istio.CorsPolicy | None, origin: Origin) -> Cors | None:
        if cors is None:
            return None
        origins: list[TextMatch] = [made for item in cors.allow_origins if (made := text_match(item))]
        for item in origins:
            if bad := next(regexes(item), None):
                self._faults.append(codes.REGEX.at(origin.under("corsPolicy"), pattern=bad[0], reason=bad[1]))
        origins = [item for item in origins if next(regexes(item), None) is None]
        if not cors.allow_origins:
            origins = [Exact(item) for item in cors.allow_origin]
        age = seconds(cors.max_age)
        return Cors(
            allow_origins=tuple(origins),
            allow_methods=",".join(cors.allow_methods),
            allow_headers=",".join(cors.allow_headers),
            expose_headers=",".join(cors.expose_headers),
            max_age="" if age is None else str(int(age)),
            allow_credentials=cors.allow_credentials,
            answer_all=cors.unmatched_preflights == "IGNORE",
        )


def reference_to(destination: istio.Destination, name: str, host: Host | None, server_port: int) -> Reference:
    """The cluster of a destination. The port defaults to the service's only port, else to the Gateway's.

    An ExternalName Service is an alias: its own ports count, and the cluster is its target's.
    """
    if destination.port:
        port = destination.port.number
    elif host and len(host.ports) == 1:
        port = host.ports[0].number
    else:
        port = server_port
    return Reference((host.alias or host.hostname) if host else name, port, destination.subset)


def named_hosts(routes: tuple[HttpRule, ...], domain: str) -> tuple[str, ...]:
    """The fully qualified hosts that rules reference, without duplicates."""
    found: dict[str, None] = {}
    for rule in routes:
        targets = [part.destination for part in rule.route.route]
        targets += [policy.destination for policy in rule.route.mirrors]
        targets += [rule.route.mirror] if rule.route.mirror else []
        for target in targets:
            found[fully_qualified(target.host, rule.namespace, domain)] = None
    return tuple(found)


def _takes_everything(route: istio.HTTPRoute) -> bool:
    """Whether the rule matches every request, on any server."""
    return not route.match or any(
        route_match(match).catches_all
        and not (match.port or match.gateways or match.source_labels or match.source_namespace)
        for match in route.match
    )


def _direct_response(response: istio.HTTPDirectResponse) -> DirectResponse:
    body = b""
    if response.body and response.body.string is not None:
        body = response.body.string.encode()
    elif response.body and response.body.bytes_ is not None:
        try:
            body = base64.b64decode(response.body.bytes_)
        except (binascii.Error, ValueError):
            body = b""  # validation reports it
    return DirectResponse(response.status, body)


def _rewrite(rewrite: istio.HTTPRewrite | None) -> PathRewrite | None:
    if rewrite is None:
        return None
    if rewrite.uri_regex_rewrite and rewrite.uri_regex_rewrite.match:
        return RegexRewrite(rewrite.uri_regex_rewrite.match, rewrite.uri_regex_rewrite.rewrite)
    return rewrite.uri or None


def _grpc_status(name: str) -> int:
    upper = name.strip().upper()
    if upper.isdigit():
        return min(int(upper), 16)
    return _GRPC.index(upper) if upper in _GRPC else 2
