"""Turns an IstioOperator into Helm values, because its operator API was removed from Istio.

An IstioOperator sets values of the charts that istioctl renders. Helm's charts `base`, `istiod` and `gateway` have most
of them under other names. Each field of the file becomes a value of a release, or a note: that no chart has it, or why
it is left out. Values that are the charts' defaults are omitted.

    >>> conversion = convert(operator)
    >>> [release.name for release in conversion.releases]
    ['istio-base', 'istiod', 'istio-ingressgateway']

Source: istio/istio `manifests/charts`, `manifests/helm-profiles`, `operator/pkg/apis/values_types.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from lockgate.resources.model import JsonObject

Path: TypeAlias = tuple[str | int, ...]

BASE: Final = "istio-base"
ISTIOD: Final = "istiod"
_GATEWAY: Final = "gateway"


@dataclass(frozen=True, slots=True)
class Release:
    """A Helm release: `chart` is one of Istio's, `values` is its values file."""

    name: str
    chart: str
    namespace: str
    values: JsonObject


@dataclass(frozen=True, slots=True)
class Note:
    """A field that is in no values file, and why. `lost` means that something is lost with it."""

    path: Path
    why: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Conversion:
    """`version` is that of the charts, "" for the newest; `releases` are in the order of installation."""

    version: str
    releases: tuple[Release, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Left:
    """Where a field goes instead of into a release."""

    why: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class _To:
    """The chart's field, for one or more charts. A `default` of the charts is left out."""

    charts: tuple[str, ...]
    path: Path
    default: Any = None


_Target: TypeAlias = _To | _Left
_BOTH = (BASE, ISTIOD)
_UNUSED = _Left("deprecated: no chart reads it")
_REMOVED = _Left("removed from Istio", lost=True)
_DEFAULT = _Left("the charts' default is right")

_RULES: Final[Mapping[tuple[str, ...], _Target]] = {
    ("profile",): _Left("Helm's charts have the default profile built in"),
    ("hub",): _Left("the charts know their registry; the gateway gets its image from istiod"),
    ("tag",): _Left("it becomes the version of the charts"),
    ("namespace",): _Left("it becomes the namespace of the releases"),
    ("revision",): _To((ISTIOD,), ("revision",)),
    ("compatibilityVersion",): _To((ISTIOD,), ("compatibilityVersion",)),
    ("meshConfig",): _To((ISTIOD,), ("meshConfig",)),
    ("meshConfig", "enablePrometheusMerge"): _To((ISTIOD,), ("meshConfig", "enablePrometheusMerge"), True),
    ("values", "meshConfig"): _To((ISTIOD,), ("meshConfig",)),
    ("values", "defaultRevision"): _To((BASE,), ("defaultRevision",), ""),
    ("values", "base", "validationURL"): _To(_BOTH, ("base", "validationURL"), ""),
    ("values", "base", "enableCRDTemplates"): _DEFAULT,
    ("values", "base"): _To((BASE,), ("base",)),
    ("values", "istiodRemote"): _To((ISTIOD,), ("istiodRemote",)),
    ("values", "istiodRemote", "injectionURL"): _To((ISTIOD,), ("istiodRemote", "injectionURL"), ""),
    ("values", "pilot"): _To((ISTIOD,), ()),
    ("values", "pilot", "enableProtocolSniffingForInbound"): _Left("removed: sniffing is always on"),
    ("values", "pilot", "enableProtocolSniffingForOutbound"): _Left("removed: sniffing is always on"),
    ("values", "telemetry"): _To((ISTIOD,), ("telemetry",)),
    ("values", "telemetry", "v2", "metadataExchange"): _REMOVED,
    ("values", "telemetry", "v2", "prometheus", "wasmEnabled"): _REMOVED,
    ("values", "telemetry", "v2", "stackdriver", "configOverride"): _REMOVED,
    ("values", "telemetry", "v2", "stackdriver", "logging"): _REMOVED,
    ("values", "telemetry", "v2", "stackdriver", "monitoring"): _REMOVED,
    ("values", "telemetry", "v2", "stackdriver", "topology"): _REMOVED,
    ("values", "sidecarInjectorWebhook"): _To((ISTIOD,), ("sidecarInjectorWebhook",)),
    ("values", "global"): _To((ISTIOD,), ("global",)),
    ("values", "global", "istioNamespace"): _To(_BOTH, ("global", "istioNamespace"), "istio-system"),
    ("values", "global", "imagePullPolicy"): _To((ISTIOD, _GATEWAY), ("imagePullPolicy",), ""),
    ("values", "global", "imagePullSecrets"): _To(_BOTH, ("global", "imagePullSecrets")),
    ("values", "global", "priorityClassName"): _To((ISTIOD, _GATEWAY), ("priorityClassName",), ""),
    ("values", "global", "defaultNodeSelector"): _UNUSED,
    ("values", "global", "jwtPolicy"): _UNUSED,
    ("values", "global", "multiCluster", "enabled"): _UNUSED,
    ("values", "global", "oneNamespace"): _Left("removed: use meshConfig.discoverySelectors", lost=True),
    ("values", "global", "useMCP"): _REMOVED,
    ("values", "global", "proxy", "enableCoreDump"): _UNUSED,
    ("values", "global", "proxy", "tracer"): _Left(
        "deprecated: use meshConfig.extensionProviders and a Telemetry", lost=True
    ),
    ("values", "global", "tracer"): _Left("deprecated: use meshConfig.extensionProviders and a Telemetry", lost=True),
    ("values", "global", "proxy_init", "resources"): _UNUSED,
    ("values", "cni"): _Left("CNI is the chart cni, a release of its own", lost=True),
    ("values", "ztunnel"): _Left("ambient mode is the charts cni and ztunnel, releases of their own", lost=True),
    ("unvalidatedValues",): _To((ISTIOD,), ()),
}
"""By the beginning of a field's path; the longest counts."""

_K8S: Final[Mapping[str, str]] = {
    "resources": "resources",
    "nodeSelector": "nodeSelector",
    "tolerations": "tolerations",
    "affinity": "affinity",
    "podAnnotations": "podAnnotations",
    "replicaCount": "replicaCount",
    "imagePullPolicy": "imagePullPolicy",
    "priorityClassName": "priorityClassName",
    "securityContext": "securityContext",
    "strategy": "strategy",
}
"""Fields of a component's `k8s` that the charts have under the same or another name."""


def convert(operator: JsonObject) -> Conversion:
    """The Helm releases of an IstioOperator, as its manifest has it."""
    spec = _object(operator.get("spec"))
    made = _Conversion(spec)
    made.run()
    return made.result()


@dataclass(slots=True)
class _Conversion:
    spec: JsonObject
    values: dict[str, JsonObject] = field(default_factory=lambda: {BASE: {}, ISTIOD: {}})
    gateways: dict[str, JsonObject] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        shared = _object(_object(self.spec.get("values")).get("global"))
        return str(self.spec.get("namespace") or shared.get("istioNamespace") or "istio-system")

    def run(self) -> None:
        self._components()
        for path, value in _leaves(self.spec):
            if path[0] == "components" or path[:2] == ("values", "gateways"):
                continue
            self._place(path, value)

    def result(self) -> Conversion:
        releases = [
            Release(BASE, "base", self.namespace, self.values[BASE]),
            Release(ISTIOD, "istiod", self.namespace, self.values[ISTIOD]),
            *(Release(name, _GATEWAY, self.namespace, values) for name, values in self.gateways.items()),
        ]
        return Conversion(str(self.spec.get("tag") or ""), tuple(releases), tuple(self.notes))

    # --- components: what is installed, and the gateways ---------------------------------------------------------

    def _components(self) -> None:
        components = _object(self.spec.get("components"))
        for name in ("base", "pilot"):
            component = _object(components.get(name))
            if component.get("enabled") is False:
                why = f"{name} is not installed, and its release is here all the same: leave it out"
                self._note(("components", name, "enabled"), why, lost=True)
            chart = BASE if name == "base" else ISTIOD
            self._k8s(("components", name, "k8s"), _object(component.get("k8s")), self.values[chart])
        for name in ("cni", "istiodRemote", "ztunnel"):
            if _object(components.get(name)).get("enabled"):
                self._note(("components", name), f"{name} is a chart of its own", lost=True)
        profile = self.spec.get("profile", "default")
        own = ("ingressGateways", "istio-ingressgateway"), ("egressGateways", "istio-egressgateway")
        for listed, usual in own:
            found = components.get(listed)
            gateways = [_object(each) for each in found] if isinstance(found, list) else []
            if listed == "ingressGateways" and not gateways and profile in ("default", "demo", ""):
                gateways = [{"enabled": True}]
            for index, gateway in enumerate(gateways):
                if gateway.get("enabled"):
                    self._gateway(("components", listed, index), gateway, usual)

    def _gateway(self, path: Path, gateway: JsonObject, usual: str) -> None:
        name = str(gateway.get("name") or usual)
        values = self.gateways.setdefault(name, {})
        k8s = _object(gateway.get("k8s"))
        own: JsonObject = _object(_object(_object(self.spec.get("values")).get("gateways")).get(usual))
        self._chart_values(("values", "gateways", usual), own, values)
        self._k8s((*path, "k8s"), k8s, values)
        labels = {**_object(own.get("labels")), **_object(gateway.get("label"))}
        if labels:
            values["labels"] = labels
        if namespace := gateway.get("namespace"):
            self._note((*path, "namespace"), f"install this release into {namespace}", lost=True)
        service = _object(values.get("service"))
        if service.get("type") is None and usual == "istio-egressgateway":
            values["service"] = {**service, "type": "ClusterIP"}
        ports = _object(values.get("service")).get("ports") or []
        if ports and not any(_object(each).get("port") == 15021 for each in ports):
            why = "the list replaces the chart's: add 15021, which the load balancer's health check needs"
            self._note((*path, "k8s", "service", "ports"), why, lost=True)

    def _chart_values(self, path: Path, own: JsonObject, values: JsonObject) -> None:
        """The values of istioctl's gateway chart."""
        for key, value in own.items():
            match key:
                case "name" | "labels":
                    pass
                case "type":
                    values["service"] = {**_object(values.get("service")), "type": value}
                case "ports":
                    values["service"] = {**_object(values.get("service")), "ports": value}
                case "serviceAnnotations":
                    values["service"] = {**_object(values.get("service")), "annotations": value}
                case "loadBalancerIP" | "loadBalancerSourceRanges" | "externalTrafficPolicy":
                    values["service"] = {**_object(values.get("service")), key: value}
                case "autoscaleEnabled":
                    if value is not True:
                        values["autoscaling"] = {**_object(values.get("autoscaling")), "enabled": value}
                case "autoscaleMin" | "autoscaleMax":
                    bound = "minReplicas" if key == "autoscaleMin" else "maxReplicas"
                    values["autoscaling"] = {**_object(values.get("autoscaling")), bound: value}
                case "secretVolumes":
                    why = "mounted Secrets do not follow renewals: name them in credentialName of the Gateway's servers"
                    self._note((*path, key), why, lost=False)
                case "env" | "podAnnotations" | "nodeSelector" | "tolerations" | "resources" | "affinity":
                    if value not in ({}, []):
                        values[key] = value
                case _:
                    self._note((*path, key), "the gateway chart has no such value", lost=True)

    def _k8s(self, path: Path, k8s: JsonObject, values: JsonObject) -> None:
        for key, value in k8s.items():
            match key:
                case "env":
                    pairs = {str(each["name"]): each["value"] for each in value if "name" in each and "value" in each}
                    values["env"] = {**_object(values.get("env")), **pairs}
                    if len(pairs) < len(value):
                        self._note((*path, key), "the charts take names and values only, no references", lost=True)
                case "service":
                    values["service"] = {**_object(values.get("service")), **_object(value)}
                case "serviceAnnotations":
                    values["service"] = {**_object(values.get("service")), "annotations": value}
                case "hpaSpec":
                    bounds = {name: value[name] for name in ("minReplicas", "maxReplicas") if name in _object(value)}
                    values["autoscaling"] = {**_object(values.get("autoscaling")), "enabled": True, **bounds}
                    if rest := sorted(set(_object(value)) - {*bounds, "scaleTargetRef"}):
                        self._note(
                            (*path, key), f"the chart scales by CPU alone; not taken over: {', '.join(rest)}", lost=True
                        )
                case "podDisruptionBudget":
                    values["podDisruptionBudget"] = value
                case "overlays":
                    self._note((*path, key), "Helm has no overlays: use a post-renderer such as kustomize", lost=True)
                case _ if key in _K8S:
                    values[_K8S[key]] = value
                case _:
                    self._note((*path, key), "no chart has such a value", lost=True)

    # --- everything else: by the table --------------------------------------------------------------------------

    def _place(self, path: Path, value: Any) -> None:
        names = tuple(str(each) for each in path)
        length = next((size for size in range(len(names), 0, -1) if names[:size] in _RULES), 0)
        if length == 0:
            self._note(path, "not a field of IstioOperator", lost=True)
            return
        match _RULES[names[:length]]:
            case _Left(why, lost):
                if value not in ({}, [], "", None):
                    self._note(path, why, lost=lost and value is not False)
            case _To(charts, target, default):
                if value in ({}, []) or value == default:
                    return
                for chart in charts:
                    places = self.gateways.values() if chart == _GATEWAY else (self.values[chart],)
                    for values in places:
                        _put(values, (*target, *path[length:]), value)

    def _note(self, path: Path, why: str, *, lost: bool) -> None:
        self.notes.append(Note(path, why, lost))


def _leaves(value: JsonObject, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The fields that are no objects, and the empty objects. A list is one field."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, (*path, key))
        else:
            yield (*path, key), inner


def _put(values: JsonObject, path: Path, value: Any) -> None:
    *parents, last = path
    for name in parents:
        values = values.setdefault(str(name), {})
    values[str(last)] = value


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}
