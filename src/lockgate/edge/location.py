"""The edge's AWS account and region: from lockgate.yaml, else from the manifests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lockgate.edge.options import Options
from lockgate.resources.arns import REGIONS, is_account, parse_arn
from lockgate.resources.memo import Memo
from lockgate.resources.model import JsonObject

DEFAULT_ACCOUNT: Final = "123456789012"
DEFAULT_REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class Place:
    """An AWS account and region."""

    account: str
    region: str


def locate(manifests: Sequence[JsonObject], options: Options, memo: Memo | None = None) -> Place:
    """The first valid account and region in the manifests. Placeholders and unknown regions are skipped.

    ARNs in load balancers' settings come first, then issuers and roles, then flags and images of workloads.
    """
    memo = memo or Memo()
    return memo.made(_located, memo.facts("places", _named, manifests), options)


def _named(manifest: JsonObject) -> tuple[tuple[Pair, ...], ...]:
    """The pairs of each source that a manifest has; most have none."""
    if manifest["kind"] not in _KINDS:
        return ()
    return tuple(tuple(read(manifest)) for read in _SOURCES)


def _located(named: Sequence[tuple[tuple[Pair, ...], ...]], options: Options) -> Place:
    naming = list(filter(None, named))

    def found(part: int, valid: Callable[[str], bool]) -> Iterator[str]:
        pairs = (pair for sort in range(len(_SOURCES)) for each in naming for pair in each[sort])
        return (pair[part] for pair in pairs if valid(pair[part]))

    return Place(
        options.account or next(found(1, is_account), DEFAULT_ACCOUNT),
        options.region or next(found(0, REGIONS.__contains__), DEFAULT_REGION),
    )


Pair: TypeAlias = tuple[str, str]  # region and account, either may be empty
Pairs: TypeAlias = Iterator[Pair]

_ARN: Final = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:([^:,\s\"]*):([^:,\s\"]*):")
_ECR: Final = re.compile(r"([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/")


def _load_balancing(manifest: JsonObject) -> Pairs:
    match manifest["kind"]:
        case "Ingress" | "Service":
            texts: Iterable[Any] = _annotations(manifest).values()
        case "IngressClassParams" | "TargetGroupBinding":
            spec = _map(manifest.get("spec"))
            named = (spec.get(key) for key in ("certificateArn", "certificateARNs", "wafv2AclArn", "targetGroupARN"))
            texts = [text for each in named for text in (each if isinstance(each, list) else [each])]
        case _:
            return
    for text in texts:
        if isinstance(text, str) and "arn:" in text:
            yield from (match.groups() for match in _ARN.finditer(text))  # type: ignore[misc]  # the pattern has two


def _issuers(manifest: JsonObject) -> Pairs:
    if manifest["kind"] in ("Issuer", "ClusterIssuer"):
        solvers = _map(_map(manifest.get("spec")).get("acme")).get("solvers")
        for solver in solvers if isinstance(solvers, list) else ():
            route53 = _map(_map(_map(solver).get("dns01")).get("route53"))
            role = parse_arn(str(route53.get("role", "")))
            yield str(route53.get("region", "")), role.account if role else ""


def _roles(manifest: JsonObject) -> Pairs:
    """IAM roles of ServiceAccounts."""
    if manifest["kind"] == "ServiceAccount":
        role = parse_arn(str(_annotations(manifest).get("eks.amazonaws.com/role-arn", "")))
        if role is not None:
            yield "", role.account


def _workloads(manifest: JsonObject) -> Pairs:
    if manifest["kind"] not in ("Deployment", "DaemonSet", "StatefulSet"):
        return
    pod = _map(_map(_map(manifest.get("spec")).get("template")).get("spec"))
    for container in map(_map, _list(pod.get("containers"))):
        words = (*_list(container.get("command")), *_list(container.get("args")))
        for text in (each for each in words if isinstance(each, str)):
            if text.startswith("--aws-region="):
                yield text.partition("=")[2], ""
        for variable in map(_map, _list(container.get("env"))):
            if variable.get("name") in ("AWS_REGION", "AWS_DEFAULT_REGION"):
                yield str(variable.get("value", "")), ""
        if image := _ECR.match(str(container.get("image", ""))):
            yield image[2], image[1]


_SOURCES: Final = (_load_balancing, _issuers, _roles, _workloads)
_KINDS: Final = {
    *("Ingress", "Service", "IngressClassParams", "TargetGroupBinding", "Issuer", "ClusterIssuer", "ServiceAccount"),
    *("Deployment", "DaemonSet", "StatefulSet"),
}


def _annotations(manifest: JsonObject) -> JsonObject:
    return _map(_map(manifest.get("metadata")).get("annotations"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}
