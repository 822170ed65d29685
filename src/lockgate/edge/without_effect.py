"""What manifests ask for and nothing on this machine does: a warning each, many of one kind in one line.

Which kinds and fields these are is said by `resources.effects`. Whether a policy selects the ingress gateway or only
applications depends on the other manifests, so it is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from lockgate.edge.workloads import gateway_workloads
from lockgate.gateway.install import install
from lockgate.resources.codes import manifests as codes
from lockgate.resources.effects.row import Row, Scope
from lockgate.resources.effects.table import Notice, notices
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.field_errors import Path, field_name
from lockgate.resources.kinds import Deployment, Gateway, IstioOperator, Service
from lockgate.resources.model import JsonObject, Resource
from lockgate.resources.reader import Document

FEW = 3  # objects that are named each in a line of its own

_ROOT_NAMESPACE = "istio-system"


def without_effect(documents: Iterable[Document], resources: Sequence[Resource]) -> tuple[Fault, ...]:
    """`resources` are all objects of the edge: the gateways are found among them."""
    gateways = _Gateways.of(resources)
    found: dict[tuple[Row, str], list[_Use]] = {}
    for document in documents:
        for use in (*_uses(document, gateways), *_installed(document)) if document.accepted else ():
            found.setdefault((use.row, use.field), []).append(use)
    return tuple(fault for uses in found.values() for fault in _faults(uses))


@dataclass(frozen=True, slots=True)
class _Use:
    """A row that an object comes under, with every place that does: none for the object itself.

    `document` has the object, or the IstioOperator that it comes of.
    """

    row: Row
    manifest: JsonObject
    document: Document
    paths: tuple[Path, ...]

    @property
    def origin(self) -> Origin:
        written = self.paths and self.manifest is self.document.manifest
        path = self.paths[0] if written else ()
        return Origin(self.document.key, path, at_key=True, definition=self.document.definition)

    @property
    def field(self) -> str:
        """The fields, those side by side as ``spec.tunnel.{protocol,targetHost}``; "" for the object itself."""
        if not self.paths:
            return ""
        first = self.paths[0]
        if first[:2] == ("metadata", "annotations"):
            return f"annotation {first[2]}"
        fields = dict.fromkeys(field_name(tuple(p for p in path if isinstance(p, str))) for path in self.paths)
        parents = {field.rpartition(".")[0] for field in fields}
        if len(fields) == 1 or len(parents) > 1:
            return next(iter(fields)) + (f" and {len(fields) - 1} more" if len(fields) > 1 else "")
        return f"{parents.pop()}.{{{','.join(field.rpartition('.')[2] for field in fields)}}}"

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        metadata = self.manifest["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def _uses(document: Document, gateways: _Gateways) -> Iterator[_Use]:
    for row, paths in _by_row(document.notices).items():
        if row.scope is None or row.scope is gateways.scope(document.manifest):
            yield _Use(row, document.manifest, document, paths)


def _installed(document: Document) -> Iterator[_Use]:
    """Of the Services that an IstioOperator leads to: a gateway's is of type LoadBalancer unless it says otherwise."""
    if isinstance(document.resource, IstioOperator):
        for made in install(document.resource).gateways:
            for row, paths in _by_row(notices("", "Service", made.service)).items():
                yield _Use(row, made.service, document, paths)


def _by_row(noticed: Iterable[Notice]) -> dict[Row, tuple[Path, ...]]:
    places: dict[Row, tuple[Path, ...]] = {}
    for notice in noticed:
        places[notice.row] = places.get(notice.row, ()) + ((notice.path,) if notice.path else ())
    return places


# --- words -------------------------------------------------------------------------------------------------------


def _faults(uses: Sequence[_Use]) -> Iterator[Fault]:
    if len(uses) > FEW:
        yield _fault(uses)
        return
    for use in uses:
        yield _fault([use])


def _fault(uses: Sequence[_Use]) -> Fault:
    first = uses[0]
    code = first.row.code
    if len(uses) > 1 and not first.paths:
        code = _PLURAL[code]
    what = f"{_named_field(first)} of {_listed(uses)}" if first.paths else _listed(uses)
    return code.at(first.origin, what=what, reason=first.row.reason, hint=first.row.fix)


_PLURAL = {
    codes.OBJECT_WITHOUT_EFFECT: codes.OBJECTS_WITHOUT_EFFECT,
    codes.UNKNOWN_KIND: codes.UNKNOWN_KINDS,
    codes.NOT_ENFORCED: codes.POLICIES_NOT_ENFORCED,
}


def _named_field(use: _Use) -> str:
    """With its value where another one would have an effect."""
    value = _value_at(use.manifest, use.paths[0])
    named = any(pattern.value and pattern.value == value for pattern in use.row.patterns)
    return f"{use.field} {value}" if named else use.field


def _listed(uses: Sequence[_Use]) -> str:
    """``Deployment shop/web``, or ``40 Deployments and 2 CronJobs (shop/web, shop/api, shop/cart, …)``."""
    if len(uses) == 1:
        return f"{uses[0].kind} {uses[0].name}"
    kinds = sorted(use.kind for use in uses)
    counted = [f"{count} {_plural(kind) if count > 1 else kind}" for kind, count in _counts(kinds)]
    named = ", ".join(use.name for use in uses[:FEW])
    return f"{' and '.join((', '.join(counted[:-1]), counted[-1])) if counted[1:] else counted[0]} ({named}, …)"


def _counts(kinds: Iterable[str]) -> Iterator[tuple[str, int]]:
    for kind, group in groupby(kinds):
        yield kind, len(list(group))


def _plural(kind: str) -> str:
    if kind.endswith("y") and kind[-2] not in "aeiou":
        return f"{kind[:-1]}ies"
    if kind == "Endpoints":
        return kind
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


# --- which workloads a policy selects ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Gateways:
    """The gateway workloads' labels, each with its namespace."""

    workloads: tuple[tuple[str, Mapping[str, str]], ...]
    root: str

    @classmethod
    def of(cls, resources: Sequence[Resource]) -> _Gateways:
        services = [each for each in resources if isinstance(each, Service)]
        gateways = [each for each in resources if isinstance(each, Gateway)]
        deployments = [each for each in resources if isinstance(each, Deployment)]
        operators = [each for each in resources if isinstance(each, IstioOperator)]
        found = []
        for workload in gateway_workloads(services, gateways):
            selected = dict(workload.labels)
            # What Istio's charts label the Pods with beyond what their Service selects.
            labels = {"app": workload.name, "istio": workload.name.removeprefix("istio-")} | selected
            for deployment in deployments:
                if deployment.namespace == workload.namespace and selected.items() <= deployment.pod_labels.items():
                    labels |= deployment.pod_labels
            found.append((workload.namespace, labels))
        root = install(operators[0]).mesh.root_namespace if operators else _ROOT_NAMESPACE
        return cls(tuple(found), root)

    def scope(self, policy: JsonObject) -> Scope:
        """Istio's rule: by labels in the policy's own namespace, in the root namespace everywhere; all without labels.

        A policy for a Gateway by name (`targetRefs`) is the gateway's; an EnvoyFilter for sidecars is not.
        """
        spec = _object(policy.get("spec"))
        targets = [*_list(spec.get("targetRefs")), *_list([spec.get("targetRef")])]
        if targets:
            gateway = any(target.get("kind") in ("Gateway", "GatewayClass") for target in targets)
            return Scope.GATEWAY if gateway else Scope.APPLICATION
        contexts = {str(_object(patch.get("match")).get("context")) for patch in _list(spec.get("configPatches"))}
        if contexts and all(context.startswith("SIDECAR_") for context in contexts):
            return Scope.APPLICATION
        wanted = {
            **_object(_object(spec.get("selector")).get("matchLabels")),
            **_object(_object(spec.get("workloadSelector")).get("labels")),
        }
        namespace = policy["metadata"].get("namespace", "")
        selected = any(
            namespace in (home, self.root) and wanted.items() <= labels.items() for home, labels in self.workloads
        )
        return Scope.GATEWAY if selected else Scope.APPLICATION


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _value_at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value
