"""istiod, as tools look for it, if the manifests have anything of Istio's and do not bring istiod themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate.edge.istio_install import REVISION, control_plane
from lockgate.edge.mesh import mesh_of
from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import Object
from lockgate.gateway.install import installed_in, mesh_config
from lockgate.metrics.labels import CLUSTER
from lockgate.resources import core, istio, workloads
from lockgate.resources.model import JsonObject, kinds

_NAMESPACE = "istio-system"


def istiods(objects: Objects, spaces: Iterable[Object]) -> Iterator[Object]:
    """One for each revision that IstioOperators install, or the default one, and its namespace unless it is in
    `spaces`. Objects of the manifests stay."""
    brought = any(each.metadata.labels.get("app") == "istiod" for each in objects.all(workloads.Deployment))
    if brought or not (len(objects.all(istio.IstioOperator)) or len(objects.all(istio.Gateway))):
        return
    operators = sorted(objects.all(istio.IstioOperator), key=lambda each: (each.namespace, each.name))
    installed = {each.spec.revision or REVISION: each for each in operators}
    there = {each.name for each in objects.all(core.Namespace)}
    there |= {each.manifest["metadata"]["name"] for each in spaces}
    domain = mesh_of(operators).domain
    for revision, operator in installed.items() or [(REVISION, None)]:
        namespace = installed_in(operator) if operator else _NAMESPACE
        if namespace not in there:
            there.add(namespace)
            yield Object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, "")
        config = mesh_config(operator) if operator else {}
        for manifest in control_plane(namespace, revision, domain, config, CLUSTER):
            if not _is_there(objects, manifest):
                yield Object(manifest, "")


def definitions() -> Iterator[Object]:
    """Of Istio's kinds, as its chart base brings them: an istiod of the user watches the kinds that it finds."""
    of_istio = (model.KIND for (group, _), model in kinds().items() if group.endswith(".istio.io"))
    for kind in sorted(of_istio, key=lambda each: each.plural):
        names = {
            "kind": kind.kind,
            "listKind": f"{kind.kind}List",
            "plural": kind.plural,
            "singular": kind.kind.lower(),
        }
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        versions = [
            {"name": version, "served": True, "storage": version == kind.versions[0], "schema": schema}
            for version in kind.versions
        ]
        yield Object(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": f"{kind.plural}.{kind.group}"},
                "spec": {"group": kind.group, "names": names, "scope": "Namespaced", "versions": versions},
            },
            "",
        )


def _is_there(objects: Objects, manifest: JsonObject) -> bool:
    model = kinds().get((manifest["apiVersion"].rpartition("/")[0], manifest["kind"]))
    metadata = manifest["metadata"]
    return model is not None and objects.get(model, metadata.get("namespace", ""), metadata["name"]) is not None
