"""Web ACLs that manifests reference, created without rules, so that their load balancers can be created."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lockgate.edge.supply.pieces import EmptyWebAcl
from lockgate.ingress.references import References

ARN = re.compile(r"arn:aws[^:]*:wafv2:[^:]+:\d+:regional/webacl/(?P<name>[\w-]+)/(?P<id>[\w-]+)")


def web_acls(references: Iterable[References]) -> Iterator[EmptyWebAcl]:
    """Web ACLs without duplicates. Invalid ARNs are skipped: the API refuses them."""
    made: set[str] = set()
    for name, arn in (pair for each in references for pair in _named(each)):
        if name not in made:
            made.add(name)
            yield EmptyWebAcl(name, arn, f"web ACL {name}: created without rules, which WAFv2's API takes")


def _named(each: References) -> Iterator[tuple[str, str]]:
    if found := ARN.fullmatch(each.web_acl_arn):
        yield found["name"], each.web_acl_arn
    if each.web_acl_name not in ("", "none"):
        yield each.web_acl_name, ""
