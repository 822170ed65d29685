"""The whole path: manifests in, `https://` answered over two TLS hops, met with the clients that teams use."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rcode
import pytest

from tests.edge.conftest import GUIDE, ROOT, Start, Up

pytestmark = pytest.mark.edge


@pytest.fixture(scope="module")
def guide(up: Start) -> Up:
    return up(GUIDE).ready()


def test_a_request_crosses_both_hops_and_reaches_the_backend(guide: Up) -> None:
    reported = json.loads(guide.curl("https://quay.example/any/thing?x=1"))
    assert reported["service"] == "default/quay-service:8072"
    assert (reported["path"], reported["query"]) == ("/any/thing", "x=1")
    headers = dict(reported["headers"])
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == "quay.example"
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", headers["x-amzn-trace-id"])


def test_plain_http_is_redirected_by_the_load_balancer_itself(guide: Up) -> None:
    answer = guide.curl("-i", "http://quay.example/x?y=1")
    assert answer.startswith("HTTP/1.1 301 Moved Permanently\r\n".replace("\r\n", "\n")) or "301" in answer[:15]
    assert "location: https://quay.example:443/x?y=1" in answer.lower()
    assert "server: awselb/2.0" in answer.lower()


def test_a_host_of_no_virtual_service_gets_the_gateways_404(guide: Up) -> None:
    port = listener_port(guide, 443)
    answer = guide.curl("-ski", "--noproxy", "*", "-H", "Host: nobody.example", f"https://127.0.0.1:{port}/")
    assert " 404" in answer.splitlines()[0]
    assert "server: istio-envoy" in answer.lower()


def test_each_hop_presents_its_own_certificate(guide: Up) -> None:
    front = presented(listener_port(guide, 443), guide, "quay.example")
    assert "Lockgate ACM CA" in front
    gateway = next(hop for hop in guide.status()["hops"] if hop["hop"] == "backend")
    ports = [address for addresses in gateway["node_ports"].values() for address in addresses]
    assert any("Lockgate ACME CA" in presented(int(each.rpartition(":")[2]), guide, "") for each in ports)


def test_dns_answers_for_the_edges_names_and_only_for_them(guide: Up) -> None:
    assert asked(guide, "quay.example", "A") == ("NOERROR", ["127.0.0.1"])
    assert asked(guide, "www.quay.example", "A") == ("NOERROR", ["127.0.0.1"])
    assert asked(guide, "quay.example", "AAAA")[0] == "NOERROR"
    assert asked(guide, "nothing.quay.example", "A") == ("NXDOMAIN", [])
    assert asked(guide, "elsewhere.example", "A") == ("REFUSED", [])
    assert asked(guide, "quay.example", "SOA", tcp=True)[0] == "NOERROR"
    host, _, port = guide.status()["addresses"]["dns"].partition(":")
    dug = subprocess.run(["dig", f"@{host}", "-p", port, "quay.example", "+short"], capture_output=True, text=True)
    assert dug.stdout == "127.0.0.1\n"


def test_the_aws_api_has_what_the_console_would_show(guide: Up) -> None:
    (balancer,) = aws(guide, "elbv2", "describe-load-balancers")["LoadBalancers"]
    assert balancer["Scheme"] == "internet-facing"
    assert balancer["State"]["Code"] == "active"
    listeners = aws(guide, "elbv2", "describe-listeners", "--load-balancer-arn", balancer["LoadBalancerArn"])
    assert {(each["Port"], each["Protocol"]) for each in listeners["Listeners"]} == {(80, "HTTP"), (443, "HTTPS")}
    (group,) = aws(guide, "elbv2", "describe-target-groups")["TargetGroups"]
    health = aws(guide, "elbv2", "describe-target-health", "--target-group-arn", group["TargetGroupArn"])
    assert [each["TargetHealth"]["State"] for each in health["TargetHealthDescriptions"]] == ["healthy"]
    certificate = aws(
        guide, "acm", "describe-certificate", "--certificate-arn",
        "arn:aws:acm:eu-central-1:210987654321:certificate/0c0ffee0-1234-1234-1234-123456789012",
    )["Certificate"]  # fmt: skip
    assert certificate["Status"] == "ISSUED"
    assert set(certificate["SubjectAlternativeNames"]) == {"quay.example", "*.quay.example"}


def test_kubectl_sees_the_objects_and_the_certificates_story(guide: Up) -> None:
    hostname = guide.exec("kubectl", "get", "ingress", "-n", "istio-system", "quay", "-o",
                          "jsonpath={.status.loadBalancer.ingress[0].hostname}")  # fmt: skip
    assert hostname.endswith(".eu-central-1.elb.amazonaws.com")
    described = guide.exec("kubectl", "describe", "certificate", "-n", "istio-system", "quay")
    story = re.findall(r"Normal +(\w+) ", described)
    assert story == ["Issuing", "Generated", "Requested", "Issuing"]
    annotations = json.loads(guide.exec("kubectl", "get", "secret", "-n", "istio-system", "quay-tls", "-o", "json"))
    assert annotations["metadata"]["annotations"]["cert-manager.io/issuer-kind"] == "ClusterIssuer"
    assert annotations["type"] == "kubernetes.io/tls"


def test_status_reports_every_hop(guide: Up) -> None:
    reported = guide.status()
    assert reported["pid"] == guide.process.pid
    assert reported["ready"] is True
    assert [hop["hop"] for hop in reported["hops"]] == ["dns", "load balancer", "gateway", "backend"]
    assert {each["kind"] for each in reported["objects"]} >= {"Ingress", "Gateway", "VirtualService", "Certificate"}
    assert all(":" in each["source"] for each in reported["objects"])


def test_metrics_have_cloudwatchs_names(guide: Up) -> None:
    guide.curl("https://quay.example/counted")
    text = guide.curl("--noproxy", "*", guide.status()["addresses"]["metrics"])
    count = re.search(r'^RequestCount\{LoadBalancer="app/\S+"\} (\d+)$', text, re.MULTILINE)
    assert count
    assert int(count[1]) >= 1
    assert re.search(r"^HealthyHostCount\{.*\} 1$", text, re.MULTILINE)


def test_private_keys_belong_to_their_owner_and_are_not_exposed(guide: Up) -> None:
    folder = guide.home / guide.name
    for file in folder.rglob("*"):
        if file.is_file() and "PRIVATE KEY" in file.read_text(errors="ignore"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    said = guide.log() + json.dumps(guide.status()) + guide.lockgate("env").stdout
    assert "PRIVATE KEY" not in said
    assert stat.S_IMODE((folder / "kubeconfig").stat().st_mode) == 0o600


def test_everything_listens_on_loopback_only(guide: Up) -> None:
    pids = {guide.process.pid, *(envoy["pid"] for envoy in guide.status()["envoys"].values())}
    for address in listening(pids):
        assert address.startswith("127."), address


def test_other_shapes_of_manifests_run_too(up: Start) -> None:
    edge = up(ROOT / "tests" / "edge" / "helm").ready()
    assert json.loads(edge.curl("https://a.wharf.example:8443/"))["service"] == "apps/one:9001"
    assert json.loads(edge.curl("https://b.wharf.example:8443/", "-H", "X-Team: two"))["service"] == "apps/two:9002"
    assert json.loads(edge.curl("https://dock.example:8443/"))["service"] == "apps/one:9001"
    assert edge.curl("-o", os.devnull, "-w", "%{http_code}", "https://a.wharf.example:8443/gone") == "410"
    answer = edge.curl("-i", "http://dock.example:8080/x").lower()
    assert "location: https://dock.example:8443/x" in answer

    logs = Path(edge.status()["files"]["access_logs"])
    edge.wait(until=lambda: any(file.stat().st_size for file in logs.rglob("*.log*")), what="an access log")
    line = next(file for file in logs.rglob("*.log*") if file.stat().st_size).read_text().splitlines()[0]
    assert re.match(r"https? \S+Z app/\S+ 127\.0\.0\.1:\d+ ", line) or line.startswith(("h2 ", "https ")), line


def test_the_example_runs_and_two_edges_run_side_by_side(up: Start, guide: Up) -> None:
    edge = up(ROOT / "examples" / "edge").ready()
    reported = json.loads(edge.curl("https://towpath.example/api/v1/orders"))
    assert (reported["service"], reported["path"]) == ("shop/api:8080", "/v1/orders")
    assert json.loads(edge.curl("https://www.towpath.example/"))["service"] == "shop/web:3000"
    assert json.loads(guide.curl("https://quay.example/"))["service"] == "default/quay-service:8072"


def aws(edge: Up, *command: str) -> Any:
    return json.loads(edge.exec(str(Path(os.sys.executable).parent / "aws"), *command, "--output", "json"))  # type: ignore[attr-defined]


def listener_port(edge: Up, port: int) -> int:
    for hop in edge.status()["hops"]:
        for balancer in hop.get("load_balancers", ()):
            for listener in balancer["listeners"]:
                if listener["port"] == port:
                    return int(listener["local_port"])
    raise AssertionError(f"no listener {port}")


def presented(port: int, edge: Up, name: str) -> str:
    """The issuer of the certificate that a port presents, as openssl prints it; empty when it speaks no TLS."""
    ca = edge.home / edge.name / "ca.pem"
    server_name = ["-servername", name] if name else ["-noservername"]
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(ca), *server_name],
        input="", capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    if name:
        assert "Verify return code: 0 (ok)" in done.stdout
    issuer = re.search(r"issuer=(.*)", done.stdout)
    return issuer[1] if issuer else ""


def asked(edge: Up, name: str, type_: str, *, tcp: bool = False) -> tuple[str, list[str]]:
    host, _, port = edge.status()["addresses"]["dns"].partition(":")
    query = dns.message.make_query(name, type_)
    ask = dns.query.tcp if tcp else dns.query.udp
    answer = ask(query, host, port=int(port), timeout=10)
    return dns.rcode.to_text(answer.rcode()), [str(record) for records in answer.answer for record in records]


def listening(pids: set[int]) -> set[str]:
    """Local addresses of TCP sockets in LISTEN of some processes, from /proc."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = str(descriptor.readlink()) if descriptor.is_symlink() else ""
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            raw, port = fields[1].split(":")
            found.add(".".join(str(int(raw[i : i + 2], 16)) for i in (6, 4, 2, 0)) + f":{int(port, 16)}")
    for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]:
        fields = line.split()
        assert not (fields[3] == "0A" and fields[9] in inodes), "a listener on IPv6"
    assert found
    return found
