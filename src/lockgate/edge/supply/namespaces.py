"""Namespaces of the objects and of components."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import KeyPair, Object
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, istio, workloads
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource

DEFAULT: Final = "cert-manager"
STANDING: Final = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


def namespaces(
    objects: Objects, spaces: Iterable[str], supplied: Sequence[Object], key_pairs: Sequence[KeyPair], issuers: str
) -> Iterator[Object]:
    """Namespaces without duplicates; one line reports those with objects. `spaces` are those of the user's objects,
    `issuers` is the one for ClusterIssuers' Secrets."""
    there = {namespace.name for namespace in objects.all(core.Namespace)} | STANDING
    holding = list(spaces)
    holding += [namespace for each in supplied if (namespace := each.manifest["metadata"].get("namespace"))]
    holding += [each.namespace for each in key_pairs]
    installed = list(installed_namespaces(objects))
    there |= {each.manifest["metadata"]["name"] for each in installed}
    names = [name for name in dict.fromkeys(holding) if name not in there]
    yield from installed
    if names:
        s = "s" if len(names) > 1 else ""
        why = f"namespace{s} {', '.join(names)}: created, because objects are in {'them' if s else 'it'}"
        yield from (_namespace(name, why) for name in names)
    issuer = next(iter(objects.all(cm.ClusterIssuer)), None)
    if issuer is not None and issuers not in there and issuers not in names:
        why = (
            f"namespace {issuers}: created, because cert-manager keeps the Secrets of ClusterIssuer {issuer.name} there"
        )
        yield _namespace(issuers, why)


def spaces(objects: Objects, memo: Memo) -> tuple[str, ...]:
    """The namespaces in which objects are, in the order of kinds."""
    found: dict[str, None] = {}
    for kind, view in objects.views().items():
        if kind.KIND.namespaced:
            table = f"namespaces of {kind.KIND.group_kind}"
            found.update(memo.made(_once, memo.facts(table, _namespace_of, view.listed)))
    return tuple(found)


def _namespace_of(resource: Resource) -> str:
    return resource.metadata.namespace


def _once(names: Iterable[str]) -> dict[str, None]:
    return {name: None for name in dict.fromkeys(names) if name}


def installed_namespaces(objects: Objects) -> Iterator[Object]:
    """The namespaces that istioctl creates."""
    if any(True for _ in objects.all(istio.IstioOperator)) and objects.get(core.Namespace, "", "istio-system") is None:
        yield _namespace("istio-system", "")


def cluster_resource_namespace(objects: Objects) -> str:
    """cert-manager's namespace for ClusterIssuers' Secrets: its own, unless a flag sets another."""
    for deployment in objects.all(workloads.Deployment):
        containers = deployment.spec.template.spec.get("containers")
        for container in containers if isinstance(containers, list) else ():
            if not isinstance(container, dict) or "cert-manager-controller" not in str(container.get("image", "")):
                continue
            arguments = container.get("args")
            for text in map(str, arguments if isinstance(arguments, list) else ()):
                flag, _, value = text.partition("=")
                if flag == "--cluster-resource-namespace" and value and "$(" not in value:
                    return value
            return deployment.namespace or DEFAULT
    return DEFAULT


def _namespace(name: str, why: str) -> Object:
    return Object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, why)
