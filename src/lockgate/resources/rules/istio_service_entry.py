"""Istio's webhook for ServiceEntry: `pkg/config/validation/validation.go`, ValidateServiceEntry."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.resources import field_errors, istio
from lockgate.resources.field_errors import FieldError, Path, Reason
from lockgate.resources.rules import istio_names as names
from lockgate.resources.rules.istio_names import conflict, problem, q, required

_HTTP_OR_TLS = frozenset(("HTTP", "HTTP_PROXY", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS"))


def refusals(entry: istio.ServiceEntry) -> Iterator[FieldError]:
    spec = entry.spec
    if not spec.hosts:
        yield required(("spec", "hosts"), "service entry must have at least one host")
    for index, host in enumerate(spec.hosts):
        at = ("spec", "hosts", index)
        if host == "*":
            yield problem(at, "invalid host *")
        else:
            yield from names.wildcard_domain(at, host)
    yield from _addresses(spec)
    yield from _ports(spec)
    yield from _resolution(spec)
    yield from names.export_to(("spec", "exportTo"), spec.export_to, entry.namespace, to_nobody=True)
    if spec.workload_selector is not None:
        yield from names.selector(("spec", "workloadSelector", "labels"), spec.workload_selector.labels)


def workload_entry(entry: istio.WorkloadEntry) -> Iterator[FieldError]:
    yield from _workload(("spec",), entry.spec, None, may_be_name=True)


def _addresses(spec: istio.ServiceEntrySpec) -> Iterator[FieldError]:
    static = (spec.resolution or "NONE") in ("NONE", "STATIC")
    for index, address in enumerate(spec.addresses):
        at = ("spec", "addresses", index)
        if "/" in address and not static:
            yield problem(at, "CIDR addresses are allowed only for NONE/STATIC resolution types")
        yield from names.subnet(at, address)


def _ports(spec: istio.ServiceEntrySpec) -> Iterator[FieldError]:
    seen_names: set[str] = set()
    seen_numbers: set[int] = set()
    for index, port in enumerate(spec.ports):
        at = ("spec", "ports", index)
        yield from names.port((*at, "number"), port.number)
        yield from names.protocol((*at, "protocol"), port.protocol)
        if port.target_port:
            yield from names.port((*at, "targetPort"), port.target_port)
        if not names.is_label(port.name):
            yield problem((*at, "name"), f"invalid port name: {port.name}")
        if port.name in seen_names:
            message = f"service entry port name {q(port.name)} already defined"
            yield problem((*at, "name"), message, Reason.DUPLICATE)
        if port.number in seen_numbers:
            message = f"service entry port {port.number} already defined"
            yield problem((*at, "number"), message, Reason.DUPLICATE)
        seen_names.add(port.name)
        seen_numbers.add(port.number)


def _resolution(spec: istio.ServiceEntrySpec) -> Iterator[FieldError]:
    resolution, path = spec.resolution or "NONE", ("spec", "endpoints")
    plain = [port for port in spec.ports if port.protocol.upper() not in _HTTP_OR_TLS]
    if spec.endpoints and spec.workload_selector is not None:
        yield conflict(path, "only one of WorkloadSelector or Endpoints is allowed in Service Entry")
    if resolution == "NONE":
        if spec.endpoints:
            yield conflict(path, "no endpoints should be provided for resolution type none")
    elif len(spec.hosts) > 1 and plain:
        yield problem(("spec", "hosts"), "multiple hosts provided with non-HTTP, non-TLS ports")
    if resolution == "DNS_ROUND_ROBIN" and len(spec.endpoints) > 1:
        message = "there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN"
        yield problem(path, message)
    if resolution in ("DNS", "DNS_ROUND_ROBIN") and not spec.endpoints:
        for index, host in enumerate(spec.hosts):
            if host.startswith("*"):
                message = (
                    "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution "
                    f"mode {resolution}"
                )
                yield problem(("spec", "hosts", index), message)
    if resolution == "DYNAMIC_DNS":
        for index, host in enumerate(spec.hosts):
            if not host.startswith("*"):
                message = "host must be wildcarded for resolution mode DYNAMIC_DNS"
                yield problem(("spec", "hosts", index), message)
    defined = {port.name for port in spec.ports}
    for index, endpoint in enumerate(spec.endpoints):
        at = (*path, index)
        if resolution == "STATIC":
            yield from _workload(at, endpoint, defined, may_be_name=False)
            continue
        if resolution in ("DNS", "DNS_ROUND_ROBIN") and not _is_name(endpoint.address):
            message = f"endpoint address {q(endpoint.address)} is not a valid FQDN or an IP address"
            yield problem((*at, "address"), message)
        yield from _details(at, endpoint, defined)


def _workload(
    path: Path, workload: istio.WorkloadEndpoint, defined: set[str] | None, *, may_be_name: bool
) -> Iterator[FieldError]:
    at, address = (*path, "address"), workload.address
    if not address and not workload.network:
        yield required(at, "address is required")
        return
    if address.startswith("unix://"):
        yield from names.unix_address(at, address.removeprefix("unix://"))
        if workload.ports:
            yield conflict((*path, "ports"), f"unix endpoint {address} must not include ports")
        if defined is not None and len(defined) != 1:
            yield problem(at, "exactly 1 service port required for unix endpoints")
    elif address and not names.is_address(address):
        if not may_be_name:
            yield problem(at, f"endpoint address {q(address)} is not a valid IP address")
        elif not _is_name(address):
            yield problem(at, f"endpoint address {q(address)} is not a valid FQDN or an IP address")
    yield from _details(path, workload, defined)


def _details(path: Path, workload: istio.WorkloadEndpoint, defined: set[str] | None) -> Iterator[FieldError]:
    for name, number in workload.ports.items():
        at = (*path, "ports", name)
        if defined is not None and name not in defined:
            yield problem(at, f"endpoint port {number} is not defined by the service entry")
        if not names.is_label(name):
            yield problem(at, f"invalid port name: {name}")
        yield from names.port(at, number)
    if workload.weight < 0:
        yield field_errors.invalid((*path, "weight"), workload.weight, "should be greater than or equal to 0")
    yield from names.label_values((*path, "labels"), workload.labels)


def _is_name(address: str) -> bool:
    return names.is_address(address) or not any(True for _ in names.domain((), address))


def warnings(entry: istio.ServiceEntry) -> Iterator[FieldError]:
    spec = entry.spec
    for index, host in enumerate(spec.hosts):
        yield from names.partial_wildcard(("spec", "hosts", index), host)
    if spec.resolution in (None, "NONE") and not spec.addresses:
        for index, port in enumerate(spec.ports):
            if port.protocol.upper() == "TCP":
                message = "addresses are required for ports serving TCP (or unset) protocol when IP Autoallocation is "
                yield problem(("spec", "ports", index), f"{message}not enabled")
    if spec.workload_selector is not None and spec.resolution in (None, "NONE"):
        yield problem(("spec", "workloadSelector"), "workloadSelector should not be set when resolution mode is NONE")
    if spec.workload_selector is not None and not spec.workload_selector.labels:
        message = (
            "service entry: workload selector specified without labels, will be applied to all services in namespace"
        )
        yield problem(("spec", "workloadSelector"), message)


def workload_warnings(entry: istio.WorkloadEntry) -> Iterator[FieldError]:
    if not entry.spec.address and entry.spec.network:
        yield problem(("spec", "address"), f"address is unset with network {q(entry.spec.network)}")
