"""`lockgate explain` of codes, kinds and fields."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from lockgate.cli.explain import explain
from lockgate.resources.codes import CODES


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("EndpointSlice.endpoints.zone", ["EndpointSlice.endpoints.zone: accepted"]),
        ("svc.spec.type", ["Service.spec.type: served", "  LoadBalancer: accepted"]),
        ("VirtualServices.spec.http.match.headers", ["  exact   served", "  regex   served"]),
        ("vs.spec.http.match.headers.exact", ["VirtualService.spec.http.match.headers.exact: served"]),
        ("vs.spec.http.fault", ["  delay  3 served, 1 accepted"]),
        ("Service.spec", ["  type                           served, but for LoadBalancer"]),
        ("PeerAuthentication", ["  that is STRICT for applications: accepted"]),
        ("EnvoyFilter.spec.configPatches", ["  applyTo  served"]),
        ("IngressClassParams", ["  every field: served"]),
        (
            "gateway",
            [
                "Gateway  networking.istio.io (v1, v1beta1, v1alpha3): served",
                "Gateway  gateway.networking.k8s.io: accepted",
            ],
        ),
        ("ExternalSecret.spec.target", ["ExternalSecret.spec.target: accepted"]),
        (
            "Service.metadata.annotations[external-dns.kubernetes.io/hostname]",
            ["    a node or a Pod of this machine has no public address"],
        ),
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


def test_a_code() -> None:
    done = CliRunner().invoke(explain, ["lg1102"])
    assert done.exit_code == 0, done.output
    shown = done.output.splitlines()
    assert shown[0] == "LG1102: Load balancer not built  (error)"
    assert "One faulty Ingress stops its whole group: the load balancer stays as it was" in done.output
    assert shown[shown.index("Example:") + 2] == "    apiVersion: networking.k8s.io/v1"
    assert "Use instead:" in shown
    assert "  - Failed build model due to {refusal}" in shown


def test_a_code_as_json() -> None:
    done = json.loads(CliRunner().invoke(explain, ["IST0101", "--output", "json"]).output)
    assert (done["code"], done["severity"]) == ("IST0101", "error")
    assert done["example"].startswith("apiVersion: ")
    assert len(done["messages"]) == len(CODES["IST0101"]) > 1


def test_a_code_by_the_number_of_another_tool() -> None:
    assert CliRunner().invoke(explain, ["kia1102"]).output.splitlines()[1].startswith("also known as ")
    assert json.loads(CliRunner().invoke(explain, ["KIA0202", "-o", "json"]).output)["code"] == "IST0174"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("LG1120", "there is no code LG1120; did you mean LG1"),
        ("LG110", "did you mean LG1101 or LG1102 or LG1103?"),
        ("IST9999", "there is no code IST9999; `lockgate explain` lists all codes"),
    ],
)
def test_a_code_that_does_not_exist(name: str, error: str) -> None:
    done = CliRunner().invoke(explain, [name])
    assert done.exit_code == 1
    assert error in done.output


def test_all_codes_are_listed() -> None:
    assert "LG0001   error    Invalid YAML or JSON" in CliRunner().invoke(explain).output.splitlines()
    listed = json.loads(CliRunner().invoke(explain, ["-o", "json"]).output)
    assert [each["code"] for each in listed] == list(CODES)


def test_a_shell_completes_codes() -> None:
    context = click.Context(explain)
    parameter = explain.params[0]
    assert [item.value for item in parameter.shell_complete(context, "lg110")][:2] == ["LG1101", "LG1102"]
    assert parameter.shell_complete(context, "Ingress") == []
