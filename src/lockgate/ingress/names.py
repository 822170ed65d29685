"""Names that the AWS Load Balancer Controller gives to what it makes: readable parts, cut, and a hash of what counts.

Source: aws-load-balancer-controller `pkg/ingress/model_build_load_balancer.go`, `model_build_target_group.go`,
`pkg/networking/backend_sg_provider.go`. The hash is SHA-256 over the parts joined without a separator.
"""

from __future__ import annotations

import re
import uuid
from hashlib import sha256


def load_balancer_name(cluster: str, *, namespace: str, name: str, group: str, scheme: str) -> str:
    """`namespace` is empty for an explicit group, whose `name` it then is; `group` is the id as text."""
    return _readable(namespace, name, _digest(cluster, group, scheme))


def security_group_name(cluster: str, *, namespace: str, name: str, group: str) -> str:
    """The managed security group's; arguments as for the load balancer."""
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
    """Also the TargetGroupBinding's. `ingress` and `service` are namespace and name; `service_port` as written."""
    control = "" if control_port is None else str(control_port)
    digest = _digest(
        cluster, group, *ingress, service_uid, service_port, str(port), target_type, protocol, protocol_version, control
    )
    return f"k8s-{_plain(service[0])[:8]}-{_plain(service[1])[:8]}-{digest}"


def frontend_name(load_balancer: str) -> str:
    """Of the network load balancer in front of one with that name."""
    return load_balancer[:28] + "-nlb"


def frontend_target_group_name(
    cluster: str, *, namespace: str, name: str, group: str, port: int, check_port: str, check_protocol: str
) -> str:
    """Of a port of that network load balancer; `namespace`, `name` and `group` as for the load balancer."""
    return _readable(namespace, name, _digest(cluster, group, str(port), "alb", "TCP", check_port, check_protocol))


def backend_security_group_name(cluster: str) -> str:
    return f"k8s-traffic-{_plain(cluster)[:232]}-{_digest(cluster)}"


def pseudo_uid(namespace: str, name: str) -> str:
    """Stands for a Service's UID where no cluster has given one: stable, so that names are, but not the cluster's."""
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
