"""The names of the controller's resources: readable parts, truncated, and a hash of what identifies the resource.

Source: aws-load-balancer-controller `pkg/ingress/model_build_load_balancer.go`, `model_build_target_group.go`,
`pkg/networking/backend_sg_provider.go`. The hash is SHA-256 over the parts joined without a separator.
"""

from __future__ import annotations

import re
import uuid
from hashlib import sha256


def load_balancer_name(cluster: str, *, namespace: str, name: str, group: str, scheme: str) -> str:
    """For an explicit group, `namespace` is empty and `name` is the group's; `group` is the group's ID as text."""
    return _readable(namespace, name, _digest(cluster, group, scheme))


def security_group_name(cluster: str, *, namespace: str, name: str, group: str) -> str:
    """The managed security group's name; arguments as for the load balancer."""
    return _readable(namespace, name, _digest(cluster, group))


def target_group_name(
    cluster: str,
    group: str,
    *,
    ingress: tuple[str, str],
    service: tuple[str, str],
    service_uid: str,
    service_port: str,
    port: int,
    target_type: str,
    protocol: str,
    protocol_version: str,
    control_port: int | None = None,
) -> str:
    """Also the name of the TargetGroupBinding. `ingress` and `service` are namespace and name; `service_port` as
    written."""
    control = "" if control_port is None else str(control_port)
    digest = _digest(
        cluster, group, *ingress, service_uid, service_port, str(port), target_type, protocol, protocol_version, control
    )
    return f"k8s-{_plain(service[0])[:8]}-{_plain(service[1])[:8]}-{digest}"


def frontend_name(load_balancer: str) -> str:
    """The name of the Network Load Balancer in front of the named one."""
    return load_balancer[:28] + "-nlb"


def frontend_target_group_name(
    cluster: str, *, namespace: str, name: str, group: str, port: int, check_port: str, check_protocol: str
) -> str:
    """The target group of a port of that Network Load Balancer; `namespace`, `name` and `group` as for the load
    balancer."""
    return _readable(namespace, name, _digest(cluster, group, str(port), "alb", "TCP", check_port, check_protocol))


def service_load_balancer_name(cluster: str, *, namespace: str, name: str, uid: str, scheme: str) -> str:
    """The Network Load Balancer of a Service."""
    return _readable(namespace, name, _digest(cluster, uid, scheme))


def service_security_group_name(cluster: str, *, namespace: str, name: str, uid: str) -> str:
    return _readable(namespace, name, _digest(cluster, name, namespace, uid))


def service_target_group_name(
    cluster: str,
    *,
    namespace: str,
    name: str,
    uid: str,
    owner_uid: str,
    target_port: int,
    port: int,
    target_type: str,
    protocol: str,
    check_protocol: str,
    check_interval: int,
) -> str:
    """`owner_uid` is the UID of the Service that has the load balancer, if that is another one, else empty."""
    parts = (str(target_port), str(port), target_type, protocol, check_protocol, str(check_interval))
    return _readable(namespace, name, _digest(cluster, owner_uid, uid, *parts))


def backend_security_group_name(cluster: str) -> str:
    return f"k8s-traffic-{_plain(cluster)[:232]}-{_digest(cluster)}"


def pseudo_uid(namespace: str, name: str) -> str:
    """A substitute for a Service's UID without a cluster. It is stable, so that names are, but differs from the
    cluster's."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"service/{namespace}/{name}"))


def _readable(namespace: str, name: str, digest: str) -> str:
    if not namespace:
        return f"k8s-{_plain(name)[:17]}-{digest}"
    return f"k8s-{_plain(namespace)[:8]}-{_plain(name)[:8]}-{digest}"


def _digest(*parts: str) -> str:
    return sha256("".join(parts).encode()).hexdigest()[:10]


_NOT_PLAIN = re.compile(r"[^0-9A-Za-z]")


def _plain(text: str) -> str:
    return _NOT_PLAIN.sub("", text)
