"""Principals of the mesh's trust domain, under all names that it has: ``cluster.local`` stands for them, too.

Source: istio/istio `pilot/pkg/security/trustdomain/bundle.go` (ReplaceTrustDomainAliases).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lockgate.resources import istio

LOCAL: Final = "cluster.local"
_PARTS: Final = 5  # domain/ns/namespace/sa/account


def migrated(rule: istio.AuthorizationRule, domains: Sequence[str]) -> istio.AuthorizationRule:
    """`domains` are the mesh's trust domain and its aliases."""
    sources = [
        each.model_copy(
            update={
                "source": each.source.model_copy(
                    update={
                        "principals": _all(each.source.principals, domains),
                        "not_principals": _all(each.source.not_principals, domains),
                    }
                )
            }
        )
        if each.source
        else each
        for each in rule.from_
    ]
    conditions = [
        each.model_copy(update={"values": _all(each.values, domains), "not_values": _all(each.not_values, domains)})
        if each.key == "source.principal"
        else each
        for each in rule.when
    ]
    return rule.model_copy(update={"from_": tuple(sources), "when": tuple(conditions)})


def _all(principals: Sequence[str], domains: Sequence[str]) -> tuple[str, ...]:
    return tuple(found for each in principals for found in _names(each, domains))


def _names(principal: str, domains: Sequence[str]) -> Iterator[str]:
    domain, slash, rest = principal.partition("/")
    if principal.count("/") != _PARTS - 1 or domain == "*":
        yield principal
    elif domain == LOCAL or any(_means(domain, each) for each in domains):
        for each in domains:
            # A wildcard stays where it means this domain, too.
            yield principal if domain.startswith("*") and _means(domain, each) else f"{each}{slash}{rest}"
    else:
        yield principal


def _means(written: str, domain: str) -> bool:
    return domain.endswith(written[1:]) if written.startswith("*") else written == domain
