"""Gateways that the user's own istiod configures: the agent between their Envoys and it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest
from envoy.service.secret.v3 import sds_pb2_grpc

from lockgate.runtime.trust import Trust
from tests.edge.conftest import ROOT, Start, Up

ANSWER = "  http: [{directResponse: {status: 299, body: {string: their istiod}}}]"


@dataclass
class Configured:
    """An edge, and the node by which its gateway is known to their istiod."""

    edge: Up
    node: dict[str, Any]


@pytest.fixture(scope="module")
def configured(up: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configured]:
    theirs, ours = tmp_path_factory.mktemp("theirs"), tmp_path_factory.mktemp("ours")
    for folder in (theirs, ours):
        for file in (ROOT / "tests" / "edge" / "guide").glob("*.yaml"):
            (folder / file.name).write_text(file.read_text())
    routes = (theirs / "routes.yaml").read_text()
    (theirs / "routes.yaml").write_text(routes.partition("  http:\n")[0] + ANSWER)
    edge = up(ours, "--external", "istiod").ready()
    assert ("gateway", "external") in _parts(edge)

    files = [str(theirs / name) for name in ("chain.pem", "key.pem")]
    trust = Trust.make("istio")
    chain, key = trust.key_pair(["istiod.istio-system.svc"])
    Path(files[0]).write_text(chain)
    Path(files[1]).write_text(key)
    found = json.loads(edge.lockgate("env", "--for", "istiod", "--output", "json").stdout)
    port = next(each for each in found["flags"] if each.startswith("--secureGRPCAddr=")).rpartition(":")[2]
    command = [sys.executable, "-m", "tests.edge.stand_in_istiod", str(theirs), port, *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as istiod:
        try:
            edge.exec(
                *("kubectl", "create", "configmap", "-n", "istio-system", "istio-ca-root-cert"),
                f"--from-literal=root-cert.pem={trust.root.root_pem}",
            )
            assert istiod.stdout is not None
            node = json.loads(istiod.stdout.readline())["node"]
            edge.wait(until=lambda: ("gateway", "ready") in _parts(edge), what="a gateway that their istiod configures")
            yield Configured(edge, node)
        finally:
            istiod.kill()


def _parts(edge: Up) -> set[tuple[str, str]]:
    return {(part["part"], part["state"]) for part in edge.status()["parts"]}


def test_the_gateway_serves_what_their_istiod_says(configured: Configured) -> None:
    edge = configured.edge
    edge.wait(until=lambda: "their istiod" in edge.curl("https://quay.example/anything"), what="their answer")
    line = next(part for part in edge.status()["parts"] if part["part"] == "gateway")
    port = line["detail"].partition("127.0.0.1:")[2].partition(",")[0]
    assert line["detail"] == f"configured by your istiod at 127.0.0.1:{port}, istiod-theirs (9.9)"
    assert "istio.alpn: a filter of Istio's own build of Envoy" in edge.log()


def test_its_node_is_that_of_istios_agent(configured: Configured) -> None:
    edge = configured.edge
    node = configured.node
    pods = json.loads(edge.exec("kubectl", "get", "pods", "-n", "istio-system", "-l", "istio=ingressgateway", "-ojson"))
    pod = pods["items"][0]["metadata"]["name"]
    assert node["id"] == f"router~127.0.0.1~{pod}.istio-system~istio-system.svc.cluster.local"
    assert node["metadata"]["LABELS"]["istio"] == "ingressgateway"
    of_pod = {name: node["metadata"][name] for name in ("NAME", "NAMESPACE", "SERVICE_ACCOUNT", "CLUSTER_ID")}
    expected = {"NAME": pod, "NAMESPACE": "istio-system", "SERVICE_ACCOUNT": "default", "CLUSTER_ID": "lockgate"}
    assert of_pod == expected


def test_the_agent_has_the_workloads_certificate_signed(configured: Configured) -> None:
    edge = configured.edge
    socket = edge.home / edge.name / "run" / "istio-agent.sock"
    node = {"id": configured.node["id"]}
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        stream = sds_pb2_grpc.SecretDiscoveryServiceStub(channel).StreamSecrets
        found = {}
        for name in ("default", "ROOTCA", "file-root:/etc/some.pem"):
            asked = iter([DiscoveryRequest(node=node, resource_names=[name])])
            found[name] = Secret.FromString(next(stream(asked)).resources[0].value)
    chain = x509.load_pem_x509_certificates(found["default"].tls_certificate.certificate_chain.inline_bytes)
    names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    spiffe = "spiffe://cluster.local/ns/istio-system/sa/default"
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [spiffe]
    root = json.loads(edge.exec("kubectl", "get", "configmap", "-n", "istio-system", "istio-ca-root-cert", "-ojson"))
    assert found["ROOTCA"].validation_context.trusted_ca.inline_bytes.decode() == root["data"]["root-cert.pem"]
    assert found["file-root:/etc/some.pem"].validation_context.trusted_ca.filename == "/etc/some.pem"
