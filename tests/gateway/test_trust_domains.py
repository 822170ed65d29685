"""Principals under the names of the mesh's trust domain."""

from __future__ import annotations

import pytest

from lockgate.gateway.policies.trust_domains import migrated
from lockgate.resources import istio

DOMAINS = ("new.example", "old.example")


@pytest.mark.parametrize(
    ("principal", "names"),
    [
        ("cluster.local/ns/a/sa/b", ["new.example/ns/a/sa/b", "old.example/ns/a/sa/b"]),
        ("old.example/ns/a/sa/b", ["new.example/ns/a/sa/b", "old.example/ns/a/sa/b"]),
        ("*.example/ns/a/sa/b", ["*.example/ns/a/sa/b", "*.example/ns/a/sa/b"]),
        ("*w.example/ns/a/sa/b", ["*w.example/ns/a/sa/b", "old.example/ns/a/sa/b"]),
        ("other.example/ns/a/sa/b", ["other.example/ns/a/sa/b"]),
        ("*/ns/a/sa/b", ["*/ns/a/sa/b"]),
        ("*", ["*"]),
        ("cluster.local/ns/a/*", ["cluster.local/ns/a/*"]),
    ],
)
def test_aliases(principal: str, names: list[str]) -> None:
    rule = istio.AuthorizationRule.model_validate(
        {
            "from": [{"source": {"principals": [principal], "notPrincipals": [principal]}}, {}],
            "when": [
                {"key": "source.principal", "values": [principal], "notValues": [principal]},
                {"key": "request.headers[x]", "values": [principal]},
            ],
        }
    )
    found = migrated(rule, DOMAINS)
    (source, _), (of_principal, of_header) = found.from_, found.when
    assert source.source is not None
    lists = (source.source.principals, source.source.not_principals, of_principal.values, of_principal.not_values)
    assert all(list(each) == names for each in lists)
    assert of_header.values == (principal,)
