"""Istio's webhook for VirtualService: `pkg/config/validation/virtualservice.go` and `validation.go`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError, Path, Reason
from lockgate.resources.rules import istio_names as names
from lockgate.resources.rules.host_sets import HostSet, first_overlaps
from lockgate.resources.rules.istio_headers import is_claim, matched_name
from lockgate.resources.rules.istio_http import MAX_BODY, body_size, clauses, string_match
from lockgate.resources.rules.istio_names import conflict, problem, q, required

_Route = istio.HTTPRoute | istio.TCPRoute | istio.TLSRoute
_Match = istio.HTTPMatchRequest | istio.L4MatchAttributes | istio.TLSMatchAttributes

_LARGE = 100 * 1024  # bytes of a direct response
_LISTED = 100  # hosts in one message


def refusals(service: istio.VirtualService) -> Iterator[FieldError]:
    spec = service.spec
    if not spec.hosts:
        for field, what, value in (
            ("gateways", "gateways", spec.gateways),
            ("tls", "tls route", spec.tls),
            ("tcp", "tcp route", spec.tcp),
        ):
            if value:
                yield conflict(("spec", field), f"delegate virtual service must have no {what} specified")
    yield from _gateway_names(("spec", "gateways"), spec.gateways)
    overlaps = first_overlaps(spec.hosts)
    in_mesh = not spec.gateways or "mesh" in spec.gateways
    by_sni = not in_mesh and any(match.sni_hosts for route in spec.tls for match in route.match)
    for index, host in enumerate(spec.hosts):
        at = ("spec", "hosts", index)
        if not names.is_address(host):
            yield from _sni(at, host, generated=by_sni)
        if host == "*" and in_mesh:
            yield problem(at, "wildcard host * is not allowed for virtual services bound to the mesh gateway")
        if index in overlaps:
            other = spec.hosts[overlaps[index]]
            yield problem(at, f"duplicate hosts in virtual service: {other} & {host}", Reason.DUPLICATE)
    if not spec.http and not spec.tls and not spec.tcp:
        yield required(("spec",), "http, tcp or tls must be provided in virtual service")
    for index, route in enumerate(spec.http):
        path = ("spec", "http", index)
        yield from _http_route(path, route, delegated=not spec.hosts)
        if in_mesh:
            yield from _claims_without_gateway(path, route, spec.gateways)
    covered = HostSet(spec.hosts)
    for index, tls in enumerate(spec.tls):
        yield from _tls_route(("spec", "tls", index), tls, spec.hosts, covered, at_gateway=not in_mesh)
    for index, tcp in enumerate(spec.tcp):
        path = ("spec", "tcp", index)
        for number, match in enumerate(tcp.match):
            yield from _l4_match((*path, "match", number), match)
        if not tcp.route:
            yield required((*path, "route"), "TCP route is required")
        yield from _l4_destinations(path, tcp.route)
    yield from names.export_to(("spec", "exportTo"), spec.export_to, service.namespace)


def _gateway_names(path: Path, gateways: Sequence[str]) -> Iterator[FieldError]:
    """The webhook reads none of those behind the first without a namespace."""
    for index, gateway in enumerate(gateways):
        yield from _gateway_name((*path, index), gateway)
        if "/" not in gateway:
            return


def _gateway_name(path: Path, gateway: str) -> Iterator[FieldError]:
    namespace, slash, name = gateway.partition("/")
    if not slash:  # `name`, or the old `name.namespace.svc.cluster.local`
        yield from names.domain(path, gateway)
    elif not namespace or not name:
        yield problem(path, "config namespace and gateway name cannot be empty")
    else:
        if not names.is_label(namespace):  # "." too, although it is resolved
            yield problem(path, f"invalid value for namespace: {q(namespace)}")
        if not names.is_label(name):
            yield problem(path, f"invalid value for gateway name: {q(name)}")


def _http_route(path: Path, route: istio.HTTPRoute, *, delegated: bool) -> Iterator[FieldError]:
    yield from _http_shape(path, route, delegated=delegated)
    for index, match in enumerate(route.match):
        yield from _http_match((*path, "match", index), match)
    yield from _weights((*path, "route"), route.route)
    for index, destination in enumerate(route.route):
        yield from _destination((*path, "route", index, "destination"), destination.destination)
    if route.mirror is not None:
        yield from _destination((*path, "mirror"), route.mirror)
    for index, mirror in enumerate(route.mirrors):
        yield from _destination((*path, "mirrors", index, "destination"), mirror.destination)
    yield from clauses(path, route)


def _http_shape(path: Path, route: istio.HTTPRoute, *, delegated: bool) -> Iterator[FieldError]:
    """Which actions may be combined. The other clauses of a rule that delegates are not read."""
    redirect, direct = route.redirect is not None, route.direct_response is not None
    if route.delegate is not None and not delegated:
        if redirect:
            yield conflict((*path, "redirect"), f"root HTTP route {route.name} must not specify redirect")
        if route.route:
            yield conflict((*path, "route"), f"root HTTP route {route.name} must not specify route")
        return
    if route.delegate is not None:
        yield conflict((*path, "delegate"), "delegate HTTP route cannot contain delegate")
    if not route.route and not redirect and not direct:
        yield required(path, "HTTP route, redirect or direct_response is required")
    for chosen, field, word in ((redirect, "redirect", "redirect"), (direct, "directResponse", "direct_response")):
        if not chosen:
            continue
        if route.route:
            yield conflict((*path, field), f"HTTP route cannot contain both route and {word}")
        if route.fault is not None:
            yield conflict((*path, field), f"HTTP route cannot contain both fault and {word}")
        if route.rewrite is not None:
            yield conflict((*path, field), f"HTTP route rule cannot contain both rewrite and {word}")
    if redirect and direct:
        yield conflict((*path, "directResponse"), "HTTP route rule cannot contain both direct_response and redirect")
    if route.mirror is not None and route.mirrors:
        yield conflict((*path, "mirrors"), "HTTP route cannot contain both mirror and mirrors")


def _http_match(path: Path, match: istio.HTTPMatchRequest) -> Iterator[FieldError]:
    for field, one in (
        ("uri", match.uri),
        ("scheme", match.scheme),
        ("method", match.method),
        ("authority", match.authority),
    ):
        if one is not None:
            yield from string_match((*path, field), field, one, may_be_empty=field == "uri")
    for group, several in (
        ("headers", match.headers),
        ("withoutHeaders", match.without_headers),
        ("queryParams", match.query_params),
    ):
        for name, one in several.items():
            if group != "queryParams":
                yield from matched_name((*path, group, name), name)
            if group != "withoutHeaders" or one.regex != "*":  # which stands for presence
                yield from string_match((*path, group, name), group, one, may_be_empty=False)
    if match.port:
        yield from names.port((*path, "port"), match.port)
    yield from names.label_values((*path, "sourceLabels"), match.source_labels)
    yield from _gateway_names((*path, "gateways"), match.gateways)
    if match.source_namespace and not names.is_label(match.source_namespace):
        message = f"sourceNamespace match {match.source_namespace} is invalid"
        yield problem((*path, "sourceNamespace"), message)


def _claims_without_gateway(path: Path, route: istio.HTTPRoute, gateways: Sequence[str]) -> Iterator[FieldError]:
    listed = " ".join(gateways)
    for index, match in enumerate(route.match):
        for group, several in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
            for name in filter(is_claim, several):
                message = f"JWT claim based routing (key: {name}) is only supported for gateway, "
                yield problem((*path, "match", index, group, name), f"{message}found no gateways: [{listed}]")


def _weights(path: Path, routes: Sequence[istio.HTTPRouteDestination | istio.RouteDestination]) -> Iterator[FieldError]:
    for index, route in enumerate(routes):
        if route.weight < 0:
            yield problem((*path, index, "weight"), f"weight {route.weight} < 0")
    if len(routes) > 1 and sum(route.weight for route in routes) == 0:
        yield problem(path, "total destination weight = 0")


def _destination(path: Path, destination: istio.Destination) -> Iterator[FieldError]:
    if destination.host == "*":
        yield problem((*path, "host"), "invalid destination host *")
    else:
        yield from names.wildcard_domain((*path, "host"), destination.host)
    if destination.subset and not names.is_label(destination.subset):
        yield problem((*path, "subset"), f"subset name is invalid: {destination.subset}")
    if destination.port is not None:
        yield from names.port((*path, "port", "number"), destination.port.number)


def _sni(path: Path, host: str, *, generated: bool) -> Iterator[FieldError]:
    """A host name. At gateways it may be one that Istio generates: ``outbound_.80_.subset_.a.example``."""
    if not generated or not host.startswith("outbound_"):
        yield from names.wildcard_domain(path, host)
        return
    parts = host.split("_", 3)
    number = parts[1].strip(".") if len(parts) == 4 else ""
    if not number.isdecimal():
        yield problem(path, f"domain name {host} invalid, should follow 'outbound_.<port>_._.<host>' format")
    else:
        yield from names.port(path, int(number))
        yield from names.wildcard_domain(path, parts[3].strip("."))


def _l4_match(path: Path, match: istio.TLSMatchAttributes | istio.L4MatchAttributes) -> Iterator[FieldError]:
    for place, subnet in enumerate(match.destination_subnets):
        yield from names.subnet((*path, "destinationSubnets", place), subnet)
    if match.port:
        yield from names.port((*path, "port"), match.port)
    yield from names.label_values((*path, "sourceLabels"), match.source_labels)
    yield from _gateway_names((*path, "gateways"), match.gateways)


def _tls_route(
    path: Path, route: istio.TLSRoute, hosts: tuple[str, ...], covered: HostSet, *, at_gateway: bool
) -> Iterator[FieldError]:
    if not route.match:
        yield required((*path, "match"), "TLS route must have at least one match condition")
    for index, match in enumerate(route.match):
        at = (*path, "match", index)
        if not match.sni_hosts:
            yield required((*at, "sniHosts"), "TLS match must have at least one SNI host")
        for number, sni in enumerate(match.sni_hosts):
            if names.is_address(sni):
                continue
            yield from _sni((*at, "sniHosts", number), sni, generated=at_gateway)
            if not covered.covers(sni):
                listed = ", ".join(hosts[:_LISTED]) + (", …" if len(hosts) > _LISTED else "")
                message = (
                    f"SNI host {q(sni)} is not a compatible subset of any of the virtual service hosts: [{listed}]"
                )
                yield problem((*at, "sniHosts", number), message)
        yield from _l4_match(at, match)
    if not route.route:
        yield required((*path, "route"), "TLS route is required")
    yield from _l4_destinations(path, route.route)


def _l4_destinations(path: Path, routes: tuple[istio.RouteDestination, ...]) -> Iterator[FieldError]:
    yield from _weights((*path, "route"), routes)
    for index, route in enumerate(routes):
        yield from _destination((*path, "route", index, "destination"), route.destination)


def warnings(service: istio.VirtualService) -> Iterator[FieldError]:
    """Rules and matches that never apply, because an earlier one always does."""
    yield from _deprecated(service)
    yield from _discouraged(service)
    for field, routes in (("http", service.spec.http), ("tcp", service.spec.tcp), ("tls", service.spec.tls)):
        if sum(max(1, len(route.match)) for route in routes) > 1:
            yield from _ineffective(field, routes)


def _ineffective(field: str, routes: Sequence[_Route]) -> Iterator[FieldError]:
    first_use: dict[str, int] = {}
    caught_all = False
    for index, route in enumerate(routes):
        path: Path = ("spec", field, index)
        if not route.match:
            if caught_all:
                yield _unused(path, route, index, "only the last rule can have no matches")
            caught_all = True
            continue
        if caught_all:
            yield _unused(path, route, index, "route without matches defined before")
            continue
        known = 0
        matches: Sequence[_Match] = route.match
        for number, match in enumerate(matches):
            key = _identity(match)
            earlier = first_use.get(key)
            if earlier is None:
                first_use[key] = index
                continue
            known += 1
            rule = _name(routes[earlier], earlier)
            message = (
                f"virtualService rule {_name(route, index)} match {_name(match, number)} is not used "
                f"(duplicate/overlapping match in rule {rule})"
            )
            yield problem((*path, "match", number), message)
        if known == len(matches):
            yield _unused(path, route, index, "all matches used by prior rules")


def _deprecated(service: istio.VirtualService) -> Iterator[FieldError]:
    for index, route in enumerate(service.spec.http):
        if route.mirror_percent is not None:
            message = 'using deprecated setting "mirrorPercent", use "mirrorPercentage" instead'
            yield problem(("spec", "http", index, "mirrorPercent"), message)
        abort = route.fault.abort if route.fault else None
        if abort and abort.http_status is None and abort.grpc_status is None and abort.http2_error is None:
            yield problem(("spec", "http", index, "fault", "abort"), "abort configured, but error type not set")


def _discouraged(service: istio.VirtualService) -> Iterator[FieldError]:
    spec = service.spec
    for index, name in enumerate(spec.gateways):
        if "/" in name:
            continue
        if "." in name:
            first, second, *_ = name.split(".")
            preferred = f'prefer the <namespace>/<name> format: "{second}/{first}"'
            yield problem(("spec", "gateways", index), f"using legacy gatewayName format {q(name)}; {preferred}")
        break
    for index, route in enumerate(spec.http):
        if route.direct_response and _LARGE < body_size(route.direct_response) <= MAX_BODY:
            at = ("spec", "http", index, "directResponse", "body")
            yield problem(at, "large direct_responses may impact control plane performance")
    for index, tls in enumerate(spec.tls):
        for number, match in enumerate(tls.match):
            for place, sni in enumerate(match.sni_hosts):
                if names.is_address(sni):
                    message = f"using an IP address ({q(sni)}) goes against SNI spec"
                    sni_at: Path = ("spec", "tls", index, "match", number, "sniHosts", place)
                    yield problem(sni_at, f"{message} and most clients do not support this")


def _unused(path: Path, route: _Route, index: int, why: str) -> FieldError:
    return problem(path, f"virtualService rule {_name(route, index)} not used ({why})")


def _name(named: _Route | _Match, index: int) -> str:
    """Rules and matches of HTTP alone have names."""
    if isinstance(named, istio.HTTPRoute | istio.HTTPMatchRequest) and named.name:
        return q(named.name)
    return f"#{index}"


def _identity(match: _Match) -> str:
    said = match.manifest()
    said.pop("name", None)
    return json.dumps(said, sort_keys=True)
