"""`lockgate explain` of kinds and fields."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lockgate.cli.explain import explain


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("EndpointSlice.endpoints.zone", ["EndpointSlice.endpoints.zone: accepted"]),
        ("svc.spec.type", ["Service.spec.type: served", "  LoadBalancer: accepted"]),
        ("VirtualServices.spec.http.match.headers", ["  exact   served", "  regex   served"]),
        ("vs.spec.http.match.headers.exact", ["VirtualService.spec.http.match.headers.exact: served"]),
        ("vs.spec.http.fault", ["  delay  3 served, 1 accepted"]),
        ("Service.spec", ["  type                           served, but for LoadBalancer"]),
        ("AuthorizationPolicy", ["  that selects the ingress gateway: accepted"]),
        ("EnvoyFilter.spec.configPatches", ["EnvoyFilter.spec.configPatches: accepted"]),
        ("IngressClassParams", ["  every field: served"]),
        (
            "gateway",
            [
                "Gateway  networking.istio.io (v1, v1beta1, v1alpha3): served",
                "Gateway  gateway.networking.k8s.io: accepted",
            ],
        ),
        ("ExternalSecret.spec.target", ["ExternalSecret.spec.target: accepted"]),
        ("Service.metadata.annotations[external-dns.kubernetes.io/hostname]", ["    external-dns reads Ingresses"]),
        ("Service.metadata.annotations[team]", ["Service.metadata.annotations[team]: served"]),
    ],
)
def test_explain(name: str, lines: list[str]) -> None:
    done = CliRunner().invoke(explain, [name])
    assert done.exit_code == 0, done.output
    for line in lines:
        assert any(shown.startswith(line) for shown in done.output.splitlines()), done.output


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Ingres", "'Ingres' is not a declared kind; did you mean Ingress?"),
        ("Hose", "'Hose' is not a declared kind. Other kinds: no controller"),
        ("", "'' is not a declared kind"),
        ("vs.spec.htp", "VirtualService.spec has no field htp; did you mean http?"),
        ("Service.spec.type.x", "Service.spec.type has no fields"),
    ],
)
def test_what_is_not_declared(name: str, error: str) -> None:
    done = CliRunner().invoke(explain, [name])
    assert done.exit_code == 1
    assert error in done.output


def test_json() -> None:
    done = CliRunner().invoke(explain, ["ns.spec.finalizers", "--output", "json"])
    assert json.loads(done.output)["effect"] == "accepted"
    done = CliRunner().invoke(explain, ["netpol", "--output", "json"])
    assert [row["code"] for row in json.loads(done.output)[0]["rows"]] == ["LG0016"]
