"""Which releases of the controllers fit each other and the cluster.

Sources: cert-manager.io "Supported Releases"; istio.io `data/compatibility/supportStatus.yml`;
kubernetes-sigs/aws-load-balancer-controller `docs/deploy/installation.md`. They change with every release.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.resources import workloads
from lockgate.resources.model import JsonObject

AS_OF: Final = "August 2026"

# The minor releases of Kubernetes that each minor release supports, oldest and newest.
CERT_MANAGER: Final[Mapping[str, tuple[int, int]]] = {
    "1.16": (25, 32),
    "1.17": (29, 33),
    "1.18": (29, 33),
    "1.19": (31, 35),
    "1.20": (32, 35),
    "1.21": (33, 36),
}
ISTIO: Final[Mapping[str, tuple[int, int]]] = {
    "1.17": (23, 26),
    "1.24": (28, 31),
    "1.26": (29, 33),
    "1.27": (29, 33),
    "1.28": (30, 34),
    "1.29": (31, 35),
    "1.30": (32, 36),
}
_LBC_OLDEST: Final = (2, 5)  # the first that serves networking.k8s.io/v1 and Kubernetes 1.22
_IMAGE: Final = re.compile(r"(?P<image>[^\s@]+?)(?::v?(?P<version>\d+\.\d+(?:\.\d+)?)[\w.-]*)?(?:@sha256:[0-9a-f]+)?")


@dataclass(frozen=True, slots=True)
class Controller:
    """A component of the edge. `image` is how its Deployment is recognised."""

    name: str
    image: str
    needed_for: str
    release: str
    chart: str
    namespace: str


CONTROLLERS: Final = (
    Controller(
        "AWS Load Balancer Controller",
        "aws-load-balancer-controller",
        "Ingress",
        "aws-load-balancer-controller",
        "eks/aws-load-balancer-controller",
        "kube-system",
    ),
    Controller(
        "cert-manager",
        "cert-manager-controller",
        "Certificate",
        "cert-manager",
        "jetstack/cert-manager",
        "cert-manager",
    ),
    Controller("istiod", "pilot", "Gateway", "istiod", "istio/istiod", "istio-system"),
)


@dataclass(frozen=True, slots=True)
class Installed:
    """A controller's Deployment. `version` is "" where its image has no tag."""

    controller: Controller
    namespace: str
    name: str
    version: str
    available: bool


def installed(deployments: Iterable[workloads.Deployment]) -> dict[str, Installed]:
    """The controllers in a cluster, by the name of the controller."""
    found: dict[str, Installed] = {}
    for deployment in deployments:
        containers = deployment.spec.template.spec.get("containers")
        for container in containers if isinstance(containers, list) else ():
            match = _IMAGE.fullmatch(str(container.get("image", "")))
            if match is None:
                continue
            image = match["image"].rpartition("/")[2]
            for controller in CONTROLLERS:
                if image == controller.image:
                    found[controller.name] = Installed(
                        controller,
                        deployment.namespace,
                        deployment.name,
                        match["version"] or "",
                        bool(_number(deployment.status, "availableReplicas")),
                    )
    return found


def misfits(found: Mapping[str, Installed], kubernetes: str) -> Iterator[str]:
    """One sentence for each controller that does not support the cluster's version, or is out of date."""
    minor = _minor(kubernetes)
    for name, table in (("cert-manager", CERT_MANAGER), ("istiod", ISTIO)):
        there = found.get(name)
        if there is None or not there.version or minor is None:
            continue
        supported = table.get(".".join(there.version.split(".")[:2]))
        shown = "Istio" if name == "istiod" else name
        if supported is None:
            yield f"{shown} {there.version} is not in the table of supported releases of {AS_OF}"
        elif not supported[0] <= minor <= supported[1]:
            yield (
                f"{shown} {there.version} supports Kubernetes 1.{supported[0]} to 1.{supported[1]}, and the cluster "
                f"has 1.{minor}; {_advice(shown, table, minor)}"
            )
    there = found.get("AWS Load Balancer Controller")
    if there is not None and there.version and _parts(there.version) < _LBC_OLDEST:
        yield f"AWS Load Balancer Controller {there.version} is older than 2.5, which Kubernetes 1.22 needs"


def _advice(name: str, table: Mapping[str, tuple[int, int]], minor: int) -> str:
    fitting = [release for release, (low, high) in table.items() if low <= minor <= high]
    return f"{name} {fitting[-1]} does" if fitting else "no release in the table does"


def _minor(version: str) -> int | None:
    match = re.match(r"v?1\.(\d+)", version)
    return int(match[1]) if match else None


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _number(status: JsonObject, key: str) -> int:
    value = status.get(key)
    return value if isinstance(value, int) else 0
