"""Services, Secrets, Pods and slices, as in `pkg/apis/core/validation` and `pkg/apis/discovery/validation`."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator

from lockgate.resources import core, field_errors
from lockgate.resources.field_errors import FieldError, Key, Path
from lockgate.resources.model import Resource
from lockgate.resources.rules import metadata

_PORT_RANGE = "must be between 1 and 65535, inclusive"
_CONFIG_KEY = re.compile("[-._a-zA-Z0-9]+")
_CONFIG_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_DATA_LIMIT = 1024 * 1024
_NODE_PORTS = range(30000, 32768)


def service(service: core.Service) -> Iterator[FieldError]:
    spec, path = service.spec, ("spec",)
    headless = spec.cluster_ip == "None"
    if spec.type == "ExternalName":
        yield from _external_name(service)
    elif headless and spec.type in ("NodePort", "LoadBalancer"):
        problem = f"may not be set to 'None' for {spec.type} services"
        yield field_errors.invalid((*path, "clusterIP"), spec.cluster_ip, problem)
    elif not spec.ports and not headless:
        yield field_errors.required((*path, "ports"))
    yield from metadata.labels((*path, "selector"), spec.selector)
    names: set[str] = set()
    pairs: set[tuple[int, str]] = set()
    node_ports: set[tuple[int, str]] = set()
    for index, port in enumerate(spec.ports):
        at = (*path, "ports", index)
        yield from _service_port(at, port, spec.type, several=len(spec.ports) > 1)
        if port.name and port.name in names:
            yield field_errors.duplicate((*at, "name"), port.name)
        names.add(port.name)
        if (port.port, port.protocol) in pairs:
            yield field_errors.duplicate(at, {"port": port.port, "protocol": port.protocol})
        pairs.add((port.port, port.protocol))
        if port.node_port and (port.node_port, port.protocol) in node_ports:
            yield field_errors.duplicate((*at, "nodePort"), port.node_port)
        node_ports.add((port.node_port, port.protocol))
    reachable = spec.type in ("NodePort", "LoadBalancer") or bool(spec.external_ips)
    if spec.external_traffic_policy and not reachable:
        problem = "may only be set for externally-accessible services"
        yield field_errors.invalid((*path, "externalTrafficPolicy"), spec.external_traffic_policy, problem)
    if spec.health_check_node_port and (spec.type, spec.external_traffic_policy) != ("LoadBalancer", "Local"):
        problem = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield field_errors.invalid((*path, "healthCheckNodePort"), spec.health_check_node_port, problem)
    for index, block in enumerate(spec.load_balancer_source_ranges):
        if not _is_network(block.strip()):
            at = (*path, "loadBalancerSourceRanges", index)
            yield field_errors.invalid(at, block, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")


def _external_name(service: core.Service) -> Iterator[FieldError]:
    spec = service.spec
    if spec.cluster_ip and spec.cluster_ip != "None":
        yield field_errors.forbidden(("spec", "clusterIP"), "may not be set when `type` is 'ExternalName'")
    name = spec.external_name.removesuffix(".")
    if not name:
        yield field_errors.required(("spec", "externalName"))
    else:
        yield from metadata.dns_subdomain(("spec", "externalName"), name)


def _service_port(path: Path, port: core.ServicePort, type: str, *, several: bool) -> Iterator[FieldError]:
    if port.name:
        yield from metadata.dns_label((*path, "name"), port.name)
    elif several:
        yield field_errors.required((*path, "name"))
    yield from port_number((*path, "port"), port.port)
    if port.target_port is not None:
        yield from port_or_name((*path, "targetPort"), port.target_port)
    if port.node_port:
        at = (*path, "nodePort")
        if type in ("ClusterIP", "ExternalName"):
            yield field_errors.forbidden(at, f"may not be used when `type` is '{type}'")
        elif port.node_port not in _NODE_PORTS:
            problem = "provided port is not in the valid range. The range of valid ports is 30000-32767"
            yield field_errors.invalid(at, port.node_port, problem)


def secret(secret: core.Secret) -> Iterator[FieldError]:
    size = 0
    for key, value in secret.data.items():
        yield from _config_key(("data", Key(key)), key)
        try:
            size += len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            # The message must not contain the secret value.
            yield FieldError(("data", Key(key)), field_errors.Reason.INVALID, "Invalid value: illegal base64 data")
    for key, text in secret.string_data.items():
        yield from _config_key(("stringData", Key(key)), key)
        size += len(text.encode("utf-8", "surrogatepass"))
    if size > _DATA_LIMIT:
        yield field_errors.too_long(("data",), _DATA_LIMIT)
    for key in _KEYS_OF_TYPE.get(secret.type, ()):
        if key not in secret.data and key not in secret.string_data:
            yield field_errors.required(("data", Key(key)))


_KEYS_OF_TYPE = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def config_map(config_map: core.ConfigMap) -> Iterator[FieldError]:
    for key in config_map.data:
        yield from _config_key(("data", Key(key)), key)
        if key in config_map.binary_data:
            problem = "duplicate of key present in binaryData"
            yield field_errors.invalid(("data", Key(key)), key, problem)
    for key in config_map.binary_data:
        yield from _config_key(("binaryData", Key(key)), key)


def _config_key(path: Path, key: str) -> Iterator[FieldError]:
    if len(key) > 253:
        yield field_errors.invalid(path, key, "must be no more than 253 characters")
    if not _CONFIG_KEY.fullmatch(key):
        yield field_errors.invalid(path, key, _CONFIG_KEY_RULE)
    elif key == "." or key.startswith(".."):
        yield field_errors.invalid(
            path, key, f"must not be '{key}'" if key in (".", "..") else "must not start with '..'"
        )


def pod(pod: core.Pod) -> Iterator[FieldError]:
    if not pod.spec.containers:
        yield field_errors.required(("spec", "containers"))
    names: set[str] = set()
    for field, containers in (("containers", pod.spec.containers), ("initContainers", pod.spec.init_containers)):
        for index, container in enumerate(containers):
            at = ("spec", field, index)
            yield from _container(at, container)
            if container.name in names:
                yield field_errors.duplicate((*at, "name"), container.name)
            names.add(container.name)


def _container(path: Path, container: core.Container) -> Iterator[FieldError]:
    yield from metadata.dns_label((*path, "name"), container.name)
    if not container.image:
        yield field_errors.required((*path, "image"))
    for index, port in enumerate(container.ports):
        yield from port_number((*path, "ports", index, "containerPort"), port.container_port)
        if port.name:
            yield from port_or_name((*path, "ports", index, "name"), port.name)


def endpoint_slice(slice: core.EndpointSlice) -> Iterator[FieldError]:
    """Loopback addresses are accepted, because endpoints on this machine have them. See `endpoint_addresses`."""
    if len(slice.endpoints) > 1000:
        yield FieldError(("endpoints",), field_errors.Reason.TOO_LONG, "Too many: must have at most 1000 items")
    family = {"IPv4": 4, "IPv6": 6}.get(slice.address_type)
    for index, endpoint in enumerate(slice.endpoints):
        at = ("endpoints", index, "addresses")
        if not endpoint.addresses:
            yield field_errors.required(at, "must contain at least 1 address")
        for number, address in enumerate(endpoint.addresses):
            if family and _version(address) != family:
                problem = f"must be a valid {slice.address_type} address"
                yield field_errors.invalid((*at, number), address, problem)
    names: set[str] = set()
    for index, port in enumerate(slice.ports):
        if port.name:
            yield from metadata.dns_label(("ports", index, "name"), port.name)
        if port.name in names:
            yield field_errors.duplicate(("ports", index, "name"), port.name)
        names.add(port.name)
        if port.port is not None:
            yield from port_number(("ports", index, "port"), port.port)


def endpoint_addresses(resource: Resource, earlier: Resource | None = None) -> Iterator[FieldError]:
    """Addresses that an API server lets nobody use as an endpoint, unless `earlier` has them already.

    Only the edge itself puts endpoints on this machine. From manifests and clients they would lead the load balancer
    and the gateway to whatever else listens here. Source: `ValidateEndpointIP` of kube-apiserver.
    """
    known = {address for _, address in _addresses(earlier)}
    for path, address in _addresses(resource):
        if address not in known and (problem := _unreachable(address)):
            yield field_errors.invalid(path, address, problem)


def _addresses(resource: Resource | None) -> Iterator[tuple[Path, str]]:
    match resource:
        case core.EndpointSlice():
            for index, endpoint in enumerate(resource.endpoints):
                for number, address in enumerate(endpoint.addresses):
                    yield ("endpoints", index, "addresses", number), address
        case core.Endpoints():
            for index, subset in enumerate(resource.subsets):
                for name, addresses in (
                    ("addresses", subset.addresses),
                    ("notReadyAddresses", subset.not_ready_addresses),
                ):
                    for number, one in enumerate(addresses):
                        yield ("subsets", index, name, number, "ip"), one.ip


def _unreachable(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified:
        return "may not be unspecified (0.0.0.0 or ::)"
    if address.is_loopback:
        return "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    if address.is_link_local:
        return "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    if address.is_multicast:
        return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    return ""


def port_number(path: Path, number: int) -> Iterator[FieldError]:
    if not 1 <= number <= 65535:
        yield field_errors.invalid(path, number, _PORT_RANGE)


def port_or_name(path: Path, port: int | str) -> Iterator[FieldError]:
    if isinstance(port, int):
        yield from port_number(path, port)
    else:
        yield from (field_errors.invalid(path, port, problem) for problem in _port_name_problems(port))


def _port_name_problems(name: str) -> Iterator[str]:
    """`IsValidPortName`: an IANA service name (RFC 6335, section 5.1)."""
    if len(name) > 15:
        yield "must be no more than 15 characters"
    if not re.fullmatch("[-a-z0-9]+", name):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", name):
        yield "must contain at least one letter (a-z)"
    if "--" in name:
        yield "must not contain consecutive hyphens"
    if name.startswith("-") or name.endswith("-"):
        yield "must not begin or end with a hyphen"


def _version(address: str) -> int:
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return 0


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text
