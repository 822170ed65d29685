"""The controller's command line: flags that have an effect here, and flags that do not.

The flags are read from the controller's Deployment, if the manifests contain it. An argument with which the controller
would not start is reported and ignored. Source: aws-load-balancer-controller `pkg/config/`, its guide's page
"Controller configuration options"; pflag for the parsing of arguments.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any, Final, TypeAlias

from lockgate.ingress.annotations.values import Malformed, quote, read_bool, read_int64
from lockgate.ingress.stack import (
    BACKEND_RESOURCE_TAG,
    CLUSTER_TAG,
    GroupId,
    ServiceId,
)
from lockgate.ingress.world import GATES, Settings
from lockgate.resources import durations, workloads
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.field_errors import Path
from lockgate.resources.model import JsonObject, Resource

NAME: Final = "aws-load-balancer-controller"

Read: TypeAlias = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Flag:
    """`setting` is the field of Settings that the flag sets, "" for a flag without effect here; `why` is the reason."""

    name: str
    kind: str
    read: Read
    setting: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Controller:
    """The controller in the manifests: its settings, and the faults of its flags."""

    settings: Settings
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Arguments:
    """A parsed command line: `ignored` are flags without effect, `faults` are (index, message) pairs."""

    settings: Settings
    ignored: tuple[str, ...] = ()
    faults: tuple[tuple[int, str], ...] = ()


def controller(resources: Iterable[Resource], defaults: Settings) -> Controller:
    """The controller that runs in the cluster; `defaults` if no manifest contains its Deployment."""
    found = [
        (each, *place) for each in resources if isinstance(each, workloads.Deployment) if (place := _container(each))
    ]
    if not found:
        return Controller(defaults)
    deployment, path, container = found[0]
    places, texts = _command_line(container)
    read = read_arguments(texts, defaults)
    origin = Origin(deployment.key, path)
    faults = [codes.NOT_STARTED.at(origin.under(*places[index]), problem=message) for index, message in read.faults]
    if read.ignored:
        flags = ", ".join(f"--{name}" for name in read.ignored)
        faults.append(codes.NO_EFFECT.at(origin.under(*places[0][:1]), flags=flags))
    settings = read.settings
    for flag in FLAGS.values():
        value = getattr(settings, flag.setting) if flag.setting else ""
        if isinstance(value, str) and "$(" in value:
            faults.append(codes.ONLY_IN_CLUSTER.at(origin.under("env"), flag=flag.name, value=value))
            settings = replace(settings, **{flag.setting: getattr(defaults, flag.setting)})
    for other, _, _ in found[1:]:
        faults.append(codes.SECOND_CONTROLLER.at(Origin(other.key), first=f"{deployment.namespace}/{deployment.name}"))
    return Controller(settings, tuple(faults))


def read_arguments(arguments: Sequence[str], defaults: Settings) -> Arguments:
    """Parses as pflag does and validates as the controller does. A faulty flag is ignored."""
    values: dict[str, Any] = {}
    ignored: dict[str, None] = {}
    faults: list[tuple[int, str]] = []
    for index, name, raw in _pairs(arguments):
        flag = FLAGS.get(name)
        if flag is None:
            faults.append((index, f"unknown flag: --{name}"))
            continue
        if raw is None:
            if flag.kind != "bool":
                faults.append((index, f"flag needs an argument: --{name}"))
                continue
            raw = "true"
        try:
            value = flag.read(raw)
        except Malformed as error:
            faults.append((index, f'invalid argument {quote(raw)} for "--{name}" flag: {error.reason}'))
            continue
        if wrong := _wrong(name, value):
            faults.append((index, wrong))
            continue
        if name == "feature-gates":
            value = _switched(values.get(flag.setting, defaults.gates), value)
            ignored |= {f"{name}={gate}": None for gate in _pointless(raw)}
        elif flag.kind in ("stringToString", "strings") and flag.setting in values:
            value = values[flag.setting] | value  # repeated flags are merged
        if flag.setting:
            values[flag.setting] = value
        else:
            ignored[name] = None
    settings = replace(defaults, **values)
    return Arguments(settings, tuple(ignored), (*faults, *_contradictions(arguments, settings)))


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[int, str, str | None]]:
    """Index, name and value. There are no flags after ``--``; other arguments have no effect."""
    index = 0
    while index < len(arguments):
        text, place = arguments[index], index
        index += 1
        if text == "--":
            return
        if not text.startswith("--"):
            continue
        name, equals, value = text[2:].partition("=")
        if equals:
            yield place, name, value
        elif (flag := FLAGS.get(name)) and flag.kind != "bool" and index < len(arguments):
            yield place, name, arguments[index]
            index += 1
        else:
            yield place, name, None


# --- kinds of values ---------------------------------------------------------------------------------------------


def _text(raw: str) -> str:
    return raw


def _items(raw: str) -> tuple[str, ...]:
    """pflag's stringSlice: the first CSV record."""
    try:
        return tuple(next(csv.reader(StringIO(raw, newline="")), ()))
    except csv.Error as error:
        raise Malformed(str(error)) from None


def _set(raw: str) -> frozenset[str]:
    return frozenset(_items(raw))


def _map(raw: str) -> Mapping[str, str]:
    """pflag's stringToString: CSV, unless it has at most one pair."""
    entries = {}
    for item in _items(raw) if raw.count("=") > 1 else (raw.strip('"'),):
        key, equals, value = item.partition("=")
        if not equals:
            raise Malformed(f"{item} must be formatted as key=value")
        entries[key] = value
    return entries


def _seconds(raw: str) -> float:
    length = durations.nanoseconds(raw)
    if length is None:
        raise Malformed(f"time: invalid duration {quote(raw)}")
    return length / 1e9


def _period(raw: str) -> float:
    """Zero or less means never, as for controller-runtime's RequeueAfter."""
    return max(0.0, _seconds(raw))


def _resync(raw: str) -> float:
    """client-go's informers resync at most once per second."""
    period = _period(raw)
    return max(1.0, period) if period else period


def _gates(raw: str) -> Mapping[str, bool]:
    found = {}
    for item in filter(None, raw.split(",")):
        name, equals, value = (part.strip() for part in item.partition("="))
        try:
            on = read_bool(value) if equals else None
        except Malformed:
            on = None
        if on is None:
            raise Malformed(f"failed to parse feature-gates settings due to invalid mapStringBool: {item}")
        if name not in GATES:
            raise Malformed(f"unknown feature: {name}")
        found[name] = on
    return found


def _switched(gates: frozenset[str], changes: Mapping[str, bool]) -> frozenset[str]:
    on = {name for name, value in changes.items() if value}
    return (gates - changes.keys()) | on


def _pointless(raw: str) -> Iterator[str]:
    """Feature gates that are not at their default and have no effect here."""
    for name, on in _gates(raw).items():
        if not GATES[name].counts and on != GATES[name].default:
            yield name


# --- checks of the controller at start ---------------------------------------------------------------------------

_TRACKING: Final = frozenset(
    {
        CLUSTER_TAG,
        BACKEND_RESOURCE_TAG,
        *(tag for each in (GroupId, ServiceId) for tag in (each.STACK_TAG, each.RESOURCE_TAG)),
    }
)


def _wrong(name: str, value: Any) -> str:
    match name:
        case "default-target-type" if value not in ("instance", "ip"):
            return f"invalid value {value} for default target type"
        case "default-load-balancer-scheme" if value not in ("internal", "internet-facing"):
            return f"invalid value {value} for default load balancer scheme"
        case "backend-security-group" if value and not value.startswith("sg-"):
            return f"invalid value {value} for backend security group id"
        case "default-tags" | "external-managed-tags" if ours := sorted(_TRACKING.intersection(value)):
            return f"tag key {ours[0]} cannot be specified in {name} flag"
        case _:
            return ""


def _contradictions(arguments: Sequence[str], settings: Settings) -> Iterator[tuple[int, str]]:
    last = max(len(arguments) - 1, 0)
    if not any(text == "--cluster-name" or text.startswith("--cluster-name=") for text in arguments):
        yield last, "kubernetes cluster name must be specified"
    for key in sorted(settings.external_managed_tags.intersection(settings.default_tags)):
        yield last, f"tag key {key} cannot be specified in both default-tags and external-managed-tags flag"


# --- the Deployment ----------------------------------------------------------------------------------------------


def _container(deployment: workloads.Deployment) -> tuple[Path, JsonObject] | None:
    """The container with the controller's image, from any registry."""
    for index, container in enumerate(_items_of(deployment.spec.template.spec, "containers")):
        if not isinstance(container, dict):
            continue
        image = str(container.get("image", "")).partition("@")[0].rpartition("/")[2].partition(":")[0]
        if image == NAME:
            return ("spec", "template", "spec", "containers", index), container
    return None


def _command_line(container: JsonObject) -> tuple[list[Path], list[str]]:
    """Each argument with its place, with the container's variables replaced in ``$(NAME)``.

    A variable from elsewhere in the cluster is left unexpanded, as Kubernetes leaves unknown variables.
    """
    env = [each for each in _items_of(container, "env") if isinstance(each, dict)]
    variables = {each.get("name"): each["value"] for each in env if "value" in each}

    def expanded(text: str) -> str:
        return re.sub(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)", lambda found: str(variables.get(found[1], found[0])), text)

    command, args = _items_of(container, "command"), _items_of(container, "args")
    given = [(("command", index), text) for index, text in enumerate(command)][1:]
    given += [(("args", index), text) for index, text in enumerate(args)]
    return [place for place, _ in given] or [()], [expanded(str(text)) for _, text in given]


def _items_of(container: JsonObject, name: str) -> list[Any]:
    """A manifest's list; empty if it is not a list, which the Kubernetes API reports."""
    items = container.get(name)
    return items if isinstance(items, list) else []


# --- the flags ---------------------------------------------------------------------------------------------------

_PACE: Final = "performance"
_PLACE: Final = "process and listen addresses"
_ACCOUNT: Final = "the edge has its own account, region and VPC"
_NLB: Final = "load balancers for Services"

FLAGS: Final[Mapping[str, Flag]] = {
    flag.name: flag
    for flag in (
        Flag("cluster-name", "string", _text, "cluster_name"),
        Flag("ingress-class", "string", _text, "ingress_class"),
        Flag("watch-namespace", "string", _text, "watch_namespace"),
        Flag("default-load-balancer-scheme", "string", _text, "default_scheme"),
        Flag("default-target-type", "string", _text, "default_target_type"),
        Flag("default-ssl-policy", "string", _text, "default_ssl_policy"),
        Flag("default-tags", "stringToString", _map, "default_tags"),
        Flag("external-managed-tags", "strings", _set, "external_managed_tags"),
        Flag("enable-backend-security-group", "bool", read_bool, "enable_backend_security_group"),
        Flag("enable-manage-backend-security-group-rules", "bool", read_bool, "manage_backend_security_group_rules"),
        Flag("backend-security-group", "string", _text, "backend_security_group"),
        Flag("disable-restricted-sg-rules", "bool", read_bool, "disable_restricted_sg_rules"),
        Flag("disable-ingress-class-annotation", "bool", read_bool, "disable_ingress_class_annotation"),
        Flag("disable-ingress-group-name-annotation", "bool", read_bool, "disable_group_name_annotation"),
        Flag("tolerate-non-existent-backend-service", "bool", read_bool, "tolerate_non_existent_backend_service"),
        Flag("tolerate-non-existent-backend-action", "bool", read_bool, "tolerate_non_existent_backend_action"),
        Flag("allowed-certificate-authority-arns", "strings", _set, "allowed_certificate_authorities"),
        Flag("default-pca-arn", "string", _text, "default_ca_arn"),
        Flag("required-secrets-label", "string", _text, "required_secrets_label"),
        Flag("max-targets-per-target-group", "int", read_int64, "max_targets"),
        Flag("enable-pod-readiness-gate-inject", "bool", read_bool, "inject_readiness_gates"),
        Flag("enable-shield", "bool", read_bool, "enable_shield"),
        Flag("enable-wafv2", "bool", read_bool, "enable_wafv2"),
        Flag("targetgroupbinding-requeue-duration", "duration", _period, "requeue_seconds"),
        Flag("sync-period", "duration", _resync, "sync_seconds"),
        Flag("load-balancer-class", "string", _text, "load_balancer_class"),
        Flag("feature-gates", "mapStringBool", _gates, "gates"),
        Flag("enable-waf", "bool", read_bool, why="AWS has retired WAF Classic"),
        Flag("enable-endpoint-slices", "bool", read_bool, why="endpoints are read from EndpointSlices"),
        Flag("quic-environment-variable-name", "string", _text, why=_NLB),
        Flag("service-target-eni-security-group-tags", "stringToString", _map, why=_NLB),
        *(Flag(name, "int", read_int64, why=_PACE) for name in (
            "ingress-max-concurrent-reconciles", "service-max-concurrent-reconciles",
            "targetgroupbinding-max-concurrent-reconciles", "globalaccelerator-max-concurrent-reconciles",
            "alb-gateway-max-concurrent-reconciles", "nlb-gateway-max-concurrent-reconciles",
            "gateway-class-max-concurrent-reconciles", "aws-max-retries",
        )),
        *(Flag(name, "duration", _seconds, why=_PACE) for name in (
            "targetgroupbinding-max-exponential-backoff-delay", "globalaccelerator-max-exponential-backoff-delay",
            "lb-stabilization-monitor-interval",
        )),
        Flag("aws-api-throttle", "string", _text, why=_PACE),
        Flag("aws-api-endpoints", "string", _text, why=_ACCOUNT),
        Flag("aws-region", "string", _text, why=_ACCOUNT),
        Flag("aws-vpc-id", "string", _text, why=_ACCOUNT),
        Flag("aws-vpc-tags", "stringToString", _map, why=_ACCOUNT),
        Flag("aws-vpc-tag-key", "string", _text, why=_ACCOUNT),
        *(Flag(name, "string", _text, why=_PLACE) for name in (
            "health-probe-bind-addr", "metrics-bind-addr", "kubeconfig", "leader-election-id",
            "leader-election-namespace", "log-level", "webhook-cert-dir", "webhook-cert-file", "webhook-key-file",
            "kube-ca-pem-filepath",
        )),
        Flag("webhook-bind-port", "int", read_int64, why=_PLACE),
        Flag("enable-leader-election", "bool", read_bool, why=_PLACE),
    )
}  # fmt: skip
"""All flags by name: those with an effect first."""
