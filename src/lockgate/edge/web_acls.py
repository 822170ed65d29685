"""Web ACLs that manifests name: made without rules, so that their load balancers can be made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lockgate.resources.kinds import Ingress, IngressClassParams
from lockgate.resources.model import Resource

ARN = re.compile(r"arn:aws[^:]*:wafv2:[^:]+:\d+:regional/webacl/(?P<name>[\w-]+)/(?P<id>[\w-]+)")

_ARN, _NAME = "alb.ingress.kubernetes.io/wafv2-acl-arn", "alb.ingress.kubernetes.io/wafv2-acl-name"


@dataclass(frozen=True, slots=True)
class EmptyWebAcl:
    """`arn` is the one that it must have, empty where any will do."""

    name: str
    arn: str
    why: str


def web_acls(resources: Sequence[Resource]) -> Iterator[EmptyWebAcl]:
    """Each once; what is no ARN of a web ACL is left to the API to refuse."""
    made: set[str] = set()
    for name, arn in _named(resources):
        if name not in made:
            made.add(name)
            yield EmptyWebAcl(name, arn, f"web ACL {name}: made without rules, which WAFv2's API takes")


def _named(resources: Sequence[Resource]) -> Iterator[tuple[str, str]]:
    for resource in resources:
        match resource:
            case Ingress():
                name, arn = (resource.metadata.annotations.get(each, "") for each in (_NAME, _ARN))
            case IngressClassParams():
                name, arn = resource.spec.wafv2_acl_name, resource.spec.wafv2_acl_arn
            case _:
                continue
        if found := ARN.fullmatch(arn):
            yield found["name"], arn
        if name not in ("", "none"):
            yield name, ""
