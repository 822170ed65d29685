"""What an account and a cluster have before an edge's manifests are applied: `lockgate up --empty`.

A team starts with the controllers and Istio installed, and with the hosted zones, access keys and Services of others
that its manifests name. Certificates, load balancers, records and the manifests themselves are still to come.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lockgate.edge.objects import Objects
from lockgate.edge.plan import Plan
from lockgate.edge.supply.namespaces import STANDING
from lockgate.edge.supply.pieces import Object
from lockgate.gateway.patches import ISTIO_VERSION
from lockgate.resources import istio, workloads
from lockgate.resources.model import JsonObject

# The releases whose behaviour the controllers have, by namespace and name of their Deployments.
CONTROLLERS: Final = {
    ("kube-system", "aws-load-balancer-controller"): "public.ecr.aws/eks/aws-load-balancer-controller:v3.5.0",
    ("cert-manager", "cert-manager"): "quay.io/jetstack/cert-manager-controller:v1.20.2",
    ("istio-system", "istiod"): f"docker.io/istio/pilot:{ISTIO_VERSION}",
}


def emptied(planned: Plan, cluster_name: str) -> Plan:
    """Without the manifests, except for IstioOperators: `istioctl install` runs before `kubectl apply`."""
    kept = tuple(each for each in planned.manifests.documents if isinstance(each.resource, istio.IstioOperator))
    manifests = replace(planned.manifests, documents=kept, faults=(), broken=frozenset())
    spaces_there = STANDING | {
        each.manifest["metadata"]["name"] for each in planned.supply.objects if each.manifest["kind"] == "Namespace"
    }
    spaces = (_namespace(name) for name in dict.fromkeys(space for space, _ in CONTROLLERS) if name not in spaces_there)
    supplied = {(each.manifest["kind"], each.manifest["metadata"]["name"]) for each in planned.supply.control_plane}
    controllers = tuple(
        _controller(*name, image, cluster_name)
        for name, image in CONTROLLERS.items()
        if ("Deployment", name[1]) not in supplied
    )
    supply = replace(
        planned.supply,
        hosts=(),
        certificates=(),
        objects=(*spaces, _ACCOUNT, *planned.supply.objects, *controllers),
    )
    documents = {each.key: each for each in kept}
    there = [each for each in planned.resources if each.key not in planned.documents or each.key in documents]
    running = (workloads.Deployment.model_validate(each.manifest) for each in controllers)
    resources = (*there, *running)
    return replace(
        planned,
        manifests=manifests,
        objects=Objects(resources),
        resources=resources,
        documents=documents,
        supply=supply,
    )


def _namespace(name: str) -> Object:
    return Object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "")


_ACCOUNT: Final = Object(
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "cert-manager", "namespace": "cert-manager"}},
    "",
)


def _controller(namespace: str, name: str, image: str, cluster_name: str) -> Object:
    labels = {"app.kubernetes.io/name": name}
    arguments = [f"--cluster-name={cluster_name}"] if name == "aws-load-balancer-controller" else []
    named = {"serviceAccountName": name} if name == "cert-manager" else {}
    container: JsonObject = {"name": name, "image": image, **({"args": arguments} if arguments else {})}
    manifest: JsonObject = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {**named, "containers": [container]}},
        },
    }
    return Object(manifest, f"Deployment {namespace}/{name}: stands for the controller that runs in this process")
