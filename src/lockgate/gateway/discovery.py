"""Namespaces that istiod reads: all, or those that `discoverySelectors` of meshConfig select.

Source: istio/istio `pkg/kube/namespace/filter.go`, and `kubetypes.Filter.ObjectFilter` where it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lockgate.gateway.mesh import Mesh
from lockgate.gateway.revisions import KINDS
from lockgate.resources import core
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource

if TYPE_CHECKING:
    from lockgate.gateway.build import Sources

NAME_LABEL: Final = "kubernetes.io/metadata.name"
FILTERED: Final = (*KINDS, "services", "endpoint_slices", "pods")  # the fields of `Sources`, besides its Secrets
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")

Namespaced = TypeVar("Namespaced", bound=Resource)


class Discovery:
    """Which namespaces istiod reads. If no selector is given, or one is invalid, it reads all of them."""

    def __init__(self, mesh: Mesh, namespaces: Iterable[core.Namespace]) -> None:
        valid = all(each.operator in _OPERATORS for one in mesh.discovery for each in one.match_expressions)
        self._selectors = mesh.discovery if valid else ()
        self._labels = {each.name: each.metadata.labels for each in namespaces} if self._selectors else {}
        self._read: dict[str, bool] = {}

    @property
    def everywhere(self) -> bool:
        return not self._selectors

    def reads(self, namespace: str) -> bool:
        """Without a manifest, a namespace has only the label that Kubernetes gives it."""
        found = self._read.get(namespace)
        if found is None:
            labels = {NAME_LABEL: namespace} | self._labels.get(namespace, {})
            found = self.everywhere or any(selector.matches(labels) for selector in self._selectors)
            self._read[namespace] = found
        return found


def discovered(sources: Sources, mesh: Mesh, memo: Memo) -> dict[str, Any]:
    """The fields of `sources` that change if only what istiod reads is kept."""
    discovery = memo.made(Discovery, mesh, sources.namespaces)
    if discovery.everywhere:
        return {}
    changed: dict[str, Any] = {kind: memo.made(_kept, getattr(sources, kind), discovery) for kind in FILTERED}
    return changed | {"secrets": memo.made(_kept_pairs, sources.secrets, discovery)}


def _kept(objects: Sequence[Namespaced], discovery: Discovery) -> list[Namespaced]:
    return [each for each in objects if discovery.reads(each.namespace)]


def _kept_pairs(pairs: Iterable[tuple[str, str]], discovery: Discovery) -> frozenset[tuple[str, str]]:
    return frozenset(pair for pair in pairs if discovery.reads(pair[0]))
