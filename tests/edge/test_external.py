"""Controllers that do not run here: what waits for them is said, and is not waited for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lockgate.cli.up import up as command
from lockgate.edge.options import BadOption, controllers
from tests.edge.conftest import Start


def test_an_edge_without_its_controllers_is_ready_and_says_what_waits(up: Start, manifests: Path) -> None:
    (manifests / "lockgate.yaml").write_text('controllers: {external-dns: "off"}\n')
    edge = up(manifests, "--external", "aws-load-balancer-controller", "--external", "cert-manager").ready()
    parts = {(part["part"], part["state"]) for part in edge.status()["parts"]}
    assert {("load balancer", "external"), ("certificate", "external"), ("dns", "external")} <= parts
    details = [part["detail"] for part in edge.status()["parts"] if part["state"] == "external"]
    assert any(detail.endswith("it waits for your aws-load-balancer-controller") for detail in details)
    assert any(detail.endswith("external-dns is off") for detail in details)
    assert json.loads(edge.exec("aws", "elbv2", "describe-load-balancers"))["LoadBalancers"] == []

    # What the real controllers are given.
    found = json.loads(edge.lockgate("env", "--for", "aws-load-balancer-controller", "--output", "json").stdout)
    folder = next(flag for flag in found["flags"] if flag.startswith("--webhook-cert-dir=")).partition("=")[2]
    assert (Path(folder) / "tls.key").stat().st_mode & 0o777 == 0o600
    assert f"--kubeconfig={found['variables']['KUBECONFIG']}" in found["flags"]
    vpc = json.loads(edge.exec("aws", "ec2", "describe-vpcs"))["Vpcs"][0]["VpcId"]
    assert f"--aws-vpc-id={vpc}" in found["flags"]
    directory = edge.curl("https://acme-v02.api.letsencrypt.org/directory")
    assert json.loads(directory)["newOrder"].startswith("https://127.0.0.1:")

    # An Ingress that the built-in webhook refuses is stored: its checks are those of the controller that is yours.
    refused = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "odd", "namespace": "default"},
        "spec": {"ingressClassName": "nobodys", "defaultBackend": {"service": {"name": "a", "port": {"number": 1}}}},
    }
    (manifests.parent / "odd.json").write_text(json.dumps(refused))
    edge.exec("kubectl", "create", "-f", str(manifests.parent / "odd.json"))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"istiod": "off"}, "istiod cannot be off"),
        ({"istiod": "grpc://istiod.example:15010"}, "neither external nor grpcs://HOST:PORT"),
        ({"istiod": "http://127.0.0.1:15010"}, "neither external nor grpcs://HOST:PORT"),
        ({"certmanager": "external"}, "did you mean cert-manager?"),
        ({"cert-manager": "elsewhere"}, "neither external nor off"),
    ],
)
def test_names_and_ways_that_are_refused(given: dict[str, str], why: str) -> None:
    with pytest.raises(BadOption, match=why.replace("?", r"\?")):
        controllers(given, ())


def test_istiod_may_be_at_an_address_of_this_machine() -> None:
    assert controllers({}, ("istiod=grpcs://127.0.0.1:15012",)) == {"istiod": "grpcs://127.0.0.1:15012"}
    assert controllers({"istiod": "grpc://localhost:15010"}, ("istiod",)) == {"istiod": "external"}


def test_the_command_line_refuses_a_wrong_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
    done = CliRunner().invoke(command, ["--external", "istio", "--name", "wrong-name", str(tmp_path)])
    assert done.exit_code == 2 and "is no controller that can be replaced" in done.output
