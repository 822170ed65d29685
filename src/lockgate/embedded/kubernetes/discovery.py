"""Discovery: aggregated and legacy documents of the kinds that the API serves.

Sources: kubernetes.io "API Discovery"; apidiscovery.k8s.io/v2 and meta/v1 of the API reference.
"""

from __future__ import annotations

from lockgate.embedded.kubernetes.catalogue import Catalogue
from lockgate.embedded.kubernetes.conversions import EVENTS
from lockgate.embedded.kubernetes.reviews import REVIEWS
from lockgate.embedded.kubernetes.scale import SCALE, is_scaled
from lockgate.embedded.kubernetes.token_requests import TOKEN_REQUEST
from lockgate.resources import core
from lockgate.resources.model import JsonObject, Kind, Resource

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_ON_SUBRESOURCES = ("get", "patch", "update")


class Discovery:
    """Documents are created at their first request, and cached until a kind is added or removed."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._made: dict[str, JsonObject] = {}
        self._revision = -1

    def document(self, path: str, *, aggregated: bool) -> JsonObject | None:
        """The document at ``/api``, ``/apis``, ``/api/v1``, ``/apis/G`` or ``/apis/G/V``; None for other paths."""
        if self._revision != self._catalogue.revision:
            self._made.clear()
            self._revision = self._catalogue.revision
        at = f"{path} aggregated" if aggregated else path
        if at not in self._made:
            made = self._make(path, aggregated=aggregated)
            if made is None:
                return None
            self._made[at] = made
        return self._made[at]

    def _make(self, path: str, *, aggregated: bool) -> JsonObject | None:
        groups = self._groups()
        match path.strip("/").split("/"):
            case ["api"] if aggregated:
                return _aggregated({"": groups[""]})
            case ["apis"] if aggregated:
                return _aggregated({group: kinds for group, kinds in groups.items() if group})
            case ["api"]:
                return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
            case ["apis"]:
                named = [_group(group, kinds) for group, kinds in groups.items() if group]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
            case ["apis", group] if group in groups:
                return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, groups[group])}
            case ["api", version]:
                return _resource_list("", version, groups[""])
            case ["apis", group, version] if group in groups:
                return _resource_list(group, version, groups[group])
        return None

    def _groups(self) -> dict[str, list[Kind]]:
        """Kinds by group, in the order of clients' preference: built-in groups, then the others."""
        found: dict[str, list[Kind]] = {}
        for kind in [*(model.KIND for model in self._catalogue), EVENTS, *REVIEWS]:
            found.setdefault(kind.group, []).append(kind)
        ordered = sorted(found, key=lambda group: (group != "", "." in group and not group.endswith(".k8s.io"), group))
        return {group: sorted(found[group], key=lambda kind: kind.plural) for group in ordered}


def versions_of(kinds: list[Kind]) -> list[str]:
    """A group's versions, the preferred one first."""
    return list(dict.fromkeys(version for kind in kinds for version in kind.versions))


def served(catalogue: Catalogue) -> dict[tuple[str, str], list[type[Resource]]]:
    """Models by (group, version)."""
    found: dict[tuple[str, str], list[type[Resource]]] = {}
    for model in catalogue:
        for version in model.KIND.versions:
            found.setdefault((model.KIND.group, version), []).append(model)
    return found


def _verbs(kind: Kind) -> list[str]:
    return ["create"] if kind in REVIEWS else list(VERBS)


def _aggregated(groups: dict[str, list[Kind]]) -> JsonObject:
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
                "versions": [
                    {
                        "version": version,
                        "freshness": "Current",
                        "resources": [_resource(kind, version) for kind in kinds if version in kind.versions],
                    }
                    for version in versions_of(kinds)
                ],
            }
            for group, kinds in groups.items()
        ],
    }


def _resource(kind: Kind, version: str) -> JsonObject:
    response = {"group": kind.group, "version": version, "kind": kind.kind}
    result: JsonObject = {
        "resource": kind.plural,
        "responseKind": response,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        result["shortNames"] = list(kind.short_names)
    if kind.categories:
        result["categories"] = list(kind.categories)
    subresources: list[JsonObject] = []
    if kind.has_status and kind not in REVIEWS:
        subresources.append({"subresource": "status", "responseKind": response, "verbs": list(_ON_SUBRESOURCES)})
    if is_scaled(kind):
        scale = {"group": SCALE.group, "version": SCALE.versions[0], "kind": SCALE.kind}
        subresources.append({"subresource": "scale", "responseKind": scale, "verbs": list(_ON_SUBRESOURCES)})
    if kind is core.ServiceAccount.KIND:
        token = {"group": TOKEN_REQUEST.group, "version": TOKEN_REQUEST.versions[0], "kind": TOKEN_REQUEST.kind}
        subresources.append({"subresource": "token", "responseKind": token, "verbs": ["create"]})
    if subresources:
        result["subresources"] = subresources
    return result


def _group(group: str, kinds: list[Kind]) -> JsonObject:
    versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions_of(kinds)]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(group: str, version: str, kinds: list[Kind]) -> JsonObject | None:
    resources: list[JsonObject] = []
    for kind in kinds:
        if version not in kind.versions:
            continue
        resources.append(
            {
                "name": kind.plural,
                "singularName": kind.singular,
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": _verbs(kind),
                **({"shortNames": list(kind.short_names)} if kind.short_names else {}),
                **({"categories": list(kind.categories)} if kind.categories else {}),
            }
        )
        if kind.has_status and kind not in REVIEWS:
            resources.append(
                {
                    "name": f"{kind.plural}/status",
                    "singularName": "",
                    "namespaced": kind.namespaced,
                    "kind": kind.kind,
                    "verbs": list(_ON_SUBRESOURCES),
                }
            )
        if is_scaled(kind):
            resources.append(
                {
                    "name": f"{kind.plural}/scale",
                    "singularName": "",
                    "namespaced": kind.namespaced,
                    "group": SCALE.group,
                    "version": SCALE.versions[0],
                    "kind": SCALE.kind,
                    "verbs": list(_ON_SUBRESOURCES),
                }
            )
        if kind is core.ServiceAccount.KIND:
            resources.append(
                {
                    "name": f"{kind.plural}/token",
                    "singularName": "",
                    "namespaced": True,
                    "group": TOKEN_REQUEST.group,
                    "version": TOKEN_REQUEST.versions[0],
                    "kind": TOKEN_REQUEST.kind,
                    "verbs": ["create"],
                }
            )
    if not resources:
        return None
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }
