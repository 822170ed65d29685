"""Admission: checks the namespace of an object, and allocates Service addresses, before the object is stored.

Sources: kube-apiserver's `pkg/registry/core/service/storage/alloc.go` and `portallocator`, kubernetes.io
"Namespaces", "Service ClusterIP allocation".
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, ip_address

from lockgate.embedded.kubernetes.refusals import Cause, forbidden, invalid, not_found
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.resources.model import JsonObject, Kind, ObjectKey

NAMESPACES = Kind(group="", versions=("v1",), kind="Namespace", plural="namespaces", namespaced=False)
UNDELETABLE_NAMESPACES = frozenset({"default", "kube-system", "kube-public"})

_CLUSTER_IPS = IPv4Network("10.100.0.0/16")  # EKS's choice for a VPC outside 10/8: "Amazon EKS networking requirements"
_NODE_PORTS = range(30000, 32768)


def namespace_key(name: str) -> ObjectKey:
    return ObjectKey("", "Namespace", "", name)


def require_namespace(storage: Storage, kind: Kind, key: ObjectKey) -> None:
    """Raises unless objects may be created in the key's namespace."""
    if not kind.namespaced:
        return
    namespace = storage.get(namespace_key(key.namespace))
    if namespace is None:
        raise not_found(NAMESPACES, key.namespace)
    if namespace.json["metadata"].get("deletionTimestamp"):
        error = forbidden(
            kind,
            key.name,
            f"unable to create new content in namespace {key.namespace} because it is being terminated",
        )
        error.details["causes"] = [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {key.namespace} is being terminated",
                "field": "metadata.namespace",
            }
        ]
        raise error


class ServiceAddresses:
    """Allocates cluster IPs and node ports. A Service that requests no particular ones gets the same ones in every run.

    The real allocators choose at random. Here the choice depends only on the names of the Service and the port (and,
    for collisions, on the order of creation), so that an edge has the same ports after a restart.
    """

    def __init__(self) -> None:
        self._ips: dict[str, ObjectKey] = {}
        self._ports: dict[tuple[int, str], ObjectKey] = {}
        self._held: dict[ObjectKey, tuple[str, tuple[tuple[int, str], ...]]] = {}
        self.preferred_ports: Mapping[tuple[str, str, int], int] = {}
        """Node ports by namespace, Service and port, for ports without a number."""

    def assign(self, kind: Kind, key: ObjectKey, before: JsonObject | None, body: JsonObject) -> JsonObject:
        """`body` with the addresses that its type requires. Raises `Invalid` for one that is in use or out of range."""
        spec = dict(body.get("spec") or {})
        earlier = (before or {}).get("spec") or {}
        service_type = spec.get("type") or "ClusterIP"
        if service_type == "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(name, None)
            return {**body, "spec": spec}
        self._assign_ip(kind, key, earlier, spec)
        if spec.get("ports"):
            wants_ports = service_type in ("NodePort", "LoadBalancer") and (
                service_type == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
            )
            spec["ports"] = self._with_node_ports(kind, key, earlier, spec["ports"], wants_ports=wants_ports)
        self._assign_health_port(kind, key, earlier, spec)
        return {**body, "spec": spec}

    def _assign_health_port(self, kind: Kind, key: ObjectKey, earlier: JsonObject, spec: JsonObject) -> None:
        name, had = "healthCheckNodePort", earlier.get("healthCheckNodePort")
        if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
            if spec.get(name) == had:  # a change of the type or the policy removes it
                spec.pop(name, None)
            return
        wish, field = spec.get(name) or had, f"spec.{name}"
        if not wish:
            chosen = {(port["nodePort"], "TCP") for port in spec.get("ports") or () if port.get("nodePort")}
            wish = self._free_port(kind, key, field, {"name": name}, chosen)
        elif why := self._refused_port(key, wish, "TCP"):
            raise invalid(kind, key.name, [Cause(field, f"Invalid value: {wish}: {why}")])
        spec[name] = wish

    def hold(self, key: ObjectKey, body: JsonObject | None) -> None:
        """Records a Service's addresses; None if it was deleted."""
        ip, ports = self._held.pop(key, ("", ()))
        self._ips.pop(ip, None)
        for port in ports:
            self._ports.pop(port, None)
        if body is None:
            return
        spec = body.get("spec") or {}
        ip = spec.get("clusterIP") or ""
        ports = tuple(
            (port["nodePort"], port.get("protocol") or "TCP")
            for port in spec.get("ports") or ()
            if port.get("nodePort")
        ) + (((number, "TCP"),) if (number := spec.get("healthCheckNodePort")) else ())
        self._held[key] = (ip, ports)
        if ip != "None":
            self._ips[ip] = key
        self._ports.update((port, key) for port in ports)

    def _assign_ip(self, kind: Kind, key: ObjectKey, earlier: JsonObject, spec: JsonObject) -> None:
        listed = spec.get("clusterIPs") or ()
        wish = spec.get("clusterIP") or (listed[0] if listed else "") or earlier.get("clusterIP") or ""
        if earlier.get("clusterIP") and earlier.get("type") != "ExternalName" and wish != earlier["clusterIP"]:
            cause = Cause("spec.clusterIPs[0]", f'Invalid value: ["{wish}"]: may not change once set')
            raise invalid(kind, key.name, [cause])
        if not wish:
            wish = self._free_ip(kind, key)
        elif wish != "None" and (why := self._refused_ip(key, wish)):
            cause = Cause("spec.clusterIPs", f'Invalid value: ["{wish}"]: failed to allocate IP {wish}: {why}')
            raise invalid(kind, key.name, [cause])
        spec["clusterIP"] = wish
        spec["clusterIPs"] = [wish]
        spec.setdefault("ipFamilies", ["IPv4"])

    def _refused_ip(self, key: ObjectKey, wish: str) -> str:
        try:
            address = ip_address(wish)
        except ValueError:
            return "the provided network does not match the current range"
        if address not in _CLUSTER_IPS:
            return f"the provided IP ({wish}) is not in the valid range. The range of valid IPs is {_CLUSTER_IPS}"
        return "provided IP is already allocated" if self._ips.get(wish, key) != key else ""

    def _free_ip(self, kind: Kind, key: ObjectKey) -> str:
        size = _CLUSTER_IPS.num_addresses - 257  # the first 256 are reserved for explicit requests, as upstream
        start = _hash(key.namespace, key.name)
        for step in range(size):
            ip = str(IPv4Address(int(_CLUSTER_IPS.network_address) + 256 + (start + step) % size))
            if ip not in self._ips:
                return ip
        cause = Cause("spec.clusterIPs", "Invalid value: []: failed to allocate a serviceIP: range is full")
        raise invalid(kind, key.name, [cause])

    def _with_node_ports(
        self, kind: Kind, key: ObjectKey, earlier: JsonObject, ports: list[JsonObject], *, wants_ports: bool
    ) -> list[JsonObject]:
        had = {
            (port.get("port"), port.get("protocol", "TCP")): port.get("nodePort") for port in earlier.get("ports") or ()
        }
        chosen = {(port["nodePort"], port.get("protocol") or "TCP") for port in ports if port.get("nodePort")}
        result: list[JsonObject] = []
        for index, port in enumerate(ports):
            protocol = port.get("protocol") or "TCP"
            number = port.get("nodePort")
            field = f"spec.ports[{index}].nodePort"
            if number:
                if not wants_ports:
                    cause = Cause(field, "Forbidden: may not be used when `type` is 'ClusterIP'", "FieldValueForbidden")
                    if earlier.get("type") in ("NodePort", "LoadBalancer"):  # a change of the type removes them
                        port = {name: value for name, value in port.items() if name != "nodePort"}
                    else:
                        raise invalid(kind, key.name, [cause])
                elif why := self._refused_port(key, number, protocol):
                    raise invalid(kind, key.name, [Cause(field, f"Invalid value: {number}: {why}")])
            elif wants_ports:
                number = had.get((port.get("port"), protocol))
                if not number or (number, protocol) in chosen:
                    number = self._free_port(kind, key, field, port, chosen)
                chosen.add((number, protocol))
                port = {**port, "nodePort": number}
            result.append(port)
        return result

    def _refused_port(self, key: ObjectKey, number: int, protocol: str) -> str:
        if number not in _NODE_PORTS:
            return (
                "provided port is not in the valid range. "
                f"The range of valid ports is {_NODE_PORTS.start}-{_NODE_PORTS.stop - 1}"
            )
        return "provided port is already allocated" if self._ports.get((number, protocol), key) != key else ""

    def _free_port(self, kind: Kind, key: ObjectKey, field: str, port: JsonObject, chosen: set[tuple[int, str]]) -> int:
        protocol = port.get("protocol") or "TCP"
        preferred = self.preferred_ports.get((key.namespace, key.name, port.get("port", 0)))
        if preferred and (preferred, protocol) not in chosen and not self._refused_port(key, preferred, protocol):
            return preferred
        start = _hash(key.namespace, key.name, str(port.get("name") or port.get("port")))
        for step in range(len(_NODE_PORTS)):
            number = _NODE_PORTS[(start + step) % len(_NODE_PORTS)]
            at = (number, protocol)
            if at not in chosen and self._ports.get(at, key) == key:
                return number
        cause = Cause(field, "Invalid value: 0: failed to allocate a nodePort: range is full")
        raise invalid(kind, key.name, [cause])


def _hash(*parts: str) -> int:
    return int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "big")
