"""`lockgate check`: what it prints, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lockgate.cli.main import lockgate

MANIFESTS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [istio-system/edge]
  http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: [shop.example]
      tls: {mode: SIMPLE, credentialName: shop-tls}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: edge
  namespace: istio-system
  annotations:
    alb.ingress.kubernetes.io/backend-protocol: HTTPS
    alb.ingress.kubernetes.io/healthcheck-protocol: HTTP
    alb.ingress.kubernetes.io/healthcheck-port: status-port
    alb.ingress.kubernetes.io/healthcheck-path: /healthz/ready
    alb.ingress.kubernetes.io/scheem: internal
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: istio-ingressgateway, port: {number: 443}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "edge.yaml").write_text(MANIFESTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(lockgate, ["check", *arguments], standalone_mode=False)


def codes(result: Result) -> set[str]:
    return {each["code"] for each in json.loads(result.stdout)["findings"]}


def code(*arguments: str) -> int:
    """The exit code, or the status of an error in usage."""
    result = run(*arguments)
    return result.return_value if result.exception is None else getattr(result.exception, "exit_code", -1)


def test_a_line_for_each_finding_and_a_summary(folder: Path) -> None:
    lines = run("--select", "LG5001").stdout.splitlines()
    assert lines[0].startswith("edge.yaml:17:7: error: k8s-istiosys-edge-")
    assert lines[0].endswith("[LG5001]")
    assert lines[1:] == ["1 error · 3 objects in 1 file · 1 can be fixed: --fix"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), 1),
        (("--fail-on", "never"), 0),
        (("--ignore", "LG5"), 0),
        (("--ignore", "LG5", "--fail-on", "warning"), 1),
        (("--ignore", "LG5", "--strict"), 1),
        (("--select", "LG1101"), 0),
        (("--select", "LG1101", "--strict"), 1),
        (("--select", "LG1101", "--strict", "--fail-on", "error"), 0),
        (("--select", "LG9"), 0),
        (("--select", "LG9999"), 2),
        (("--fail-on", "worst"), 2),
        (("--write-baseline",), 2),
        (("--baseline", "none.json"), 2),
        (("--baseline", "edge.yaml"), 2),
    ],
)
def test_the_exit_code(folder: Path, arguments: tuple[str, ...], expected: int) -> None:
    assert code(*arguments) == expected


def test_codes_are_selected_by_their_beginning(folder: Path) -> None:
    assert {"LG5001", "LG1101"} <= codes(run("-o", "json"))
    assert codes(run("-o", "json", "--select", "lg5,LG11")) == {"LG5001", "LG1101"}
    assert "LG1101" not in codes(run("-o", "json", "--ignore", "LG1101"))
    (folder / "edge.yaml").write_text(MANIFESTS.replace("[istio-system/edge]", "[istio-system/other]"))
    assert codes(run("-o", "json", "--select", "KIA1102")) == {"IST0101"}  # Kiali's number for it


def test_an_unknown_code_has_a_suggestion(folder: Path) -> None:
    assert "did you mean LG5001" in str(run("--select", "LG50001").exception)


def test_the_baseline_leaves_out_what_is_known(folder: Path) -> None:
    assert code("--baseline", ".known.json", "--write-baseline") == 0
    before = (folder / ".known.json").read_text()
    result = run("--baseline", ".known.json", "-o", "json")
    assert json.loads(result.stdout)["findings"] == []
    assert code("--baseline", ".known.json", "--strict") == 0
    (folder / "edge.yaml").write_text(f"# moved\n\n{MANIFESTS}".replace("shop.example]\n      tls", '"*"]\n      tls'))
    result = run("--baseline", ".known.json", "-o", "json")
    assert json.loads(result.stdout)["summary"]["gone"] == 1
    assert code("--baseline", ".known.json") == 0
    assert code("--baseline", ".known.json", "--strict") == 1
    assert code("--baseline", ".known.json", "--write-baseline") == 0
    after = (folder / ".known.json").read_text()
    assert set(after.replace(",", "").splitlines()) < set(before.replace(",", "").splitlines())


def test_every_output_for_programs(folder: Path) -> None:
    assert json.loads(run("-o", "sarif").stdout)["version"] == "2.1.0"
    assert run("-o", "github", "--select", "LG5001").stdout.startswith(
        "::error file=edge.yaml,line=17,col=7,title=LG5001"
    )
    assert run("-o", "junit").stdout.startswith("<?xml")


def test_on_a_terminal_the_line_is_shown_with_a_caret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.cli.findings.on_terminal", lambda: True)
    lines = run("--select", "LG5001").stdout.splitlines()
    assert lines[1:3] == ["    17 |       hosts: [shop.example]", "       |       ^"]
    assert lines[3].startswith('      fix: set hosts: ["*"]')
    assert lines[4].startswith("      why: ")


def test_a_fix_changes_the_file_and_a_second_one_does_not(folder: Path) -> None:
    file = folder / "edge.yaml"
    file.chmod(0o640)
    printed = run("--diff")
    assert printed.return_value == 1
    assert [line for line in printed.stdout.splitlines() if line[:2] in ("- ", "+ ")] == [
        "-      hosts: [shop.example]",
        '+      hosts: ["*"]',
    ]
    assert file.read_text() == MANIFESTS
    assert run("--fix", "--select", "LG11").stdout.startswith("edge.yaml:")
    assert file.read_text() == MANIFESTS
    fixed = run("--fix")
    assert fixed.return_value == 0
    assert "LG5001" not in fixed.stdout
    assert fixed.stderr.startswith("fixed edge.yaml:17:7: error: ")
    after = file.read_text()
    assert after == MANIFESTS.replace("hosts: [shop.example]\n      tls", 'hosts: ["*"]\n      tls')
    assert file.stat().st_mode & 0o777 == 0o640
    assert run("--fix").stderr == ""
    assert file.read_text() == after
    assert run("--diff").stdout == ""


def test_a_byte_order_mark_and_line_ends_stay(folder: Path) -> None:
    file = folder / "edge.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + MANIFESTS.replace("\n", "\r\n").encode())
    assert run("--fix").return_value == 0
    after = file.read_bytes()
    assert after.startswith(b"\xef\xbb\xbf")
    assert after.count(b"\r\n") == after.count(b"\n") == MANIFESTS.count("\n")


def test_a_trace_names_the_finding_at_its_hop(folder: Path) -> None:
    arguments = ["trace", "http://shop.example/", "edge.yaml"]
    result = CliRunner().invoke(lockgate, arguments, standalone_mode=False)
    lines = result.stdout.splitlines()
    (at,) = (number for number, line in enumerate(lines) if "[LG5001]" in line)
    assert lines[at].strip().startswith("error: k8s-istiosys-edge-")
    assert lines[at].endswith("edge.yaml:17:7")
    hops = json.loads(CliRunner().invoke(lockgate, [*arguments, "-o", "json"], standalone_mode=False).stdout)["hops"]
    assert [hop["hop"] for hop in hops if "LG5001" in str(hop.get("findings"))] == ["gateway"]
    plain = MANIFESTS.replace("backend-protocol: HTTPS", "backend-protocol: HTTP")
    (folder / "edge.yaml").write_text(plain)
    hops = json.loads(CliRunner().invoke(lockgate, [*arguments, "-o", "json"], standalone_mode=False).stdout)["hops"]
    assert [hop["hop"] for hop in hops if "LG5004" in str(hop.get("findings"))] == ["target group"]
    (folder / "edge.yaml").write_text(MANIFESTS.replace("hosts: [shop.example]\n      tls", 'hosts: ["*"]\n      tls'))
    assert "LG5001" not in CliRunner().invoke(lockgate, arguments, standalone_mode=False).stdout


def test_without_paths_it_is_the_current_folder(folder: Path) -> None:
    assert codes(run("-o", "json")) == codes(run(".", "-o", "json")) == codes(run("edge.yaml", "-o", "json"))
