"""Istio's webhook for ServiceEntry: `pkg/config/validation/validation.go`, ValidateServiceEntry."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError, Path, Reason
from lockgate.resources.rules import istio_names as names
from lockgate.resources.rules.istio_names import conflict, problem, q, required

_HTTP_OR_TLS = frozenset(("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS"))


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
    yield from names.export_to(("spec", "exportTo"), spec.export_to)


def _addresses(spec: istio.ServiceEntrySpec) -> Iterator[FieldError]:
    static = (spec.resolution or "NONE") in ("NONE", "STATIC")
    for index, address in enumerate(spec.addresses):
        at = ("spec", "addresses", index)
        if "/" in address and not static:
            yield problem(at, "CIDR addresses are allowed only for NONE/STATIC resolution types")
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError:
            yield problem(at, f"{address} is not a valid IP or CIDR")


def _ports(spec: istio.ServiceEntrySpec) -> Iterator[FieldError]:
    seen_names: set[str] = set()
    seen_numbers: set[int] = set()
    for index, port in enumerate(spec.ports):
        at = ("spec", "ports", index)
        yield from names.port((*at, "number"), port.number)
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
        if len(spec.hosts) > 1 and plain and not spec.addresses:
            yield problem(("spec", "hosts"), "multiple hosts provided with non-HTTP, non-TLS ports")
    if resolution == "DNS_ROUND_ROBIN" and len(spec.endpoints) > 1:
        message = "there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN"
        yield problem(path, message)
    if resolution in ("DNS", "DNS_ROUND_ROBIN") and not spec.endpoints and spec.workload_selector is None:
        for index, host in enumerate(spec.hosts):
            if host.startswith("*"):
                message = (
                    "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution "
                    f"mode {resolution}"
                )
                yield problem(("spec", "hosts", index), message)
    defined = {port.name for port in spec.ports}
    for index, endpoint in enumerate(spec.endpoints):
        yield from _endpoint((*path, index), endpoint, resolution, defined)


def _endpoint(path: Path, endpoint: istio.WorkloadEndpoint, resolution: str, defined: set[str]) -> Iterator[FieldError]:
    at, address = (*path, "address"), endpoint.address
    unix = address.startswith("unix://")
    if resolution == "STATIC" and not unix and address and not names.is_address(address):
        yield problem(at, f"{address} is not a valid IP")
    elif (
        resolution in ("DNS", "DNS_ROUND_ROBIN")
        and not names.is_address(address)
        and any(True for _ in names.domain(at, address))
    ):
        yield problem(at, f"endpoint address {q(address)} is not a valid FQDN or an IP address")
    for name, number in endpoint.ports.items():
        if name not in defined:
            yield problem((*path, "ports", name), f"endpoint port {name} is not defined by the service entry")
        yield from names.port((*path, "ports", name), number)
    yield from names.label_values((*path, "labels"), endpoint.labels)


def warnings(entry: istio.ServiceEntry) -> Iterator[FieldError]:
    spec = entry.spec
    if spec.resolution in (None, "NONE") and not spec.addresses:
        for index, port in enumerate(spec.ports):
            if port.protocol.upper() == "TCP":
                yield problem(
                    ("spec", "ports", index), "addresses are required for ports serving TCP (or unset) protocol"
                )
    if spec.workload_selector is not None and spec.resolution in (None, "NONE"):
        yield problem(("spec", "workloadSelector"), "workloadSelector should not be set when resolution mode is NONE")
