"""The Helm releases that are missing in a cluster, with the values that an edge needs.

Source: the charts' values.yaml: aws-load-balancer-controller, cert-manager, and istio's base, istiod and gateway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.deploy import istio_operator
from lockgate.deploy.planning.seen import RELEASE_LABEL
from lockgate.deploy.planning.versions import CONTROLLERS, Installed
from lockgate.resources.model import JsonObject, ObjectKey

REPOSITORIES: Final = {
    "eks": "https://aws.github.io/eks-charts",
    "jetstack": "https://charts.jetstack.io",
    "istio": "https://istio-release.storage.googleapis.com/charts",
}
CHARTS: Final = ("aws-load-balancer-controller", "cert-manager", "base", "istiod", "gateway")


@dataclass(frozen=True, slots=True)
class Release:
    """`chart` is ``repository/chart``; no `version` means the newest. `place` is where the user has a copy."""

    name: str
    chart: str
    namespace: str
    values: JsonObject
    version: str = ""
    place: str = ""

    @property
    def repository(self) -> str:
        return REPOSITORIES[self.chart.partition("/")[0]]


@dataclass(frozen=True, slots=True)
class Installation:
    """A release that is in the cluster."""

    name: str
    namespace: str


def installed_by(edge: str, raw: Mapping[ObjectKey, JsonObject]) -> list[Installation]:
    """Those that `apply --install` made for an edge, the newest first: Helm keeps each revision in a Secret."""
    found: dict[Installation, str] = {}
    for key, secret in raw.items():
        labels = secret["metadata"].get("labels") or {}
        if key.kind == "Secret" and labels.get("owner") == "helm" and labels.get(RELEASE_LABEL) == edge:
            release = Installation(labels.get("name", ""), key.namespace)
            found[release] = max(found.get(release, ""), str(secret["metadata"].get("creationTimestamp", "")))
    return sorted(found, key=lambda each: (found[each], each.name), reverse=True)


def missing(
    found: Mapping[str, Installed],
    gateways: Iterable[str],
    operators: Iterable[JsonObject],
    *,
    cluster: str,
    region: str,
    vpc_id: str,
    needed: Iterable[str],
    cert_manager_values: JsonObject,
) -> Iterator[Release]:
    """In the order of installation. `gateways` are ``namespace/name`` of Services that are missing; `needed` are names
    of controllers."""
    wanted = frozenset(needed)
    load_balancer, cert_manager, istiod = CONTROLLERS
    if load_balancer.name in wanted and load_balancer.name not in found:
        values: JsonObject = {
            "clusterName": cluster,
            "region": region,
            "vpcId": vpc_id,
            "enableServiceMutatorWebhook": False,  # else every new Service waits for it
            "keepTLSSecret": True,
        }
        yield Release(load_balancer.release, load_balancer.chart, load_balancer.namespace, values)
    if cert_manager.name in wanted and cert_manager.name not in found:
        values = {
            "crds": {"enabled": True},
            "dns01RecursiveNameserversOnly": True,
            "dns01RecursiveNameservers": "8.8.8.8:53,1.1.1.1:53",
            **cert_manager_values,
        }
        yield Release(cert_manager.release, cert_manager.chart, cert_manager.namespace, values)
    converted = [istio_operator.convert(each) for each in operators]
    of_operators = {each.name: each for one in converted for each in one.releases}
    if istiod.name in wanted and istiod.name not in found:
        for name, chart in ((istio_operator.BASE, "base"), (istio_operator.ISTIOD, "istiod")):
            values = of_operators[name].values if name in of_operators else {}
            yield Release(name, f"istio/{chart}", "istio-system", values)
    for gateway in gateways:
        namespace, _, name = gateway.partition("/")
        own = of_operators.get(name)
        values = own.values if own else {"service": {"type": "NodePort"}}
        yield Release(name, "istio/gateway", own.namespace if own else namespace, values)
