"""An edge that lives: files change, Envoys die, configurations are rejected, and what was good goes on serving."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.edge.conftest import Start, Up
from tests.edge.test_serving import listener_port

pytestmark = pytest.mark.edge


def answers(edge: Up, url: str, text: str) -> bool:
    done = edge.lockgate("exec", "--", "curl", "-s", "--max-time", "20", "-w", "%{http_code}", url, check=False)
    return text in done.stdout


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_saved_change_is_served_and_reported(up: Start, manifests: Path) -> None:
    edge = up(manifests).ready()
    replace(manifests / "routes.yaml", "port: {number: 8072}", "port: {number: 9000}")
    assert "VirtualService default/quay" in edge.until("changed")
    edge.wait(until=lambda: answers(edge, "https://quay.example/", "quay-service:9000"), what="the new port")

    (manifests / "more.yaml").write_text(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: more}\n"
        "spec:\n  hosts: [more.quay.example]\n  gateways: [istio-system/quay]\n"
        "  http: [{directResponse: {status: 418}}]\n"
    )
    assert "VirtualService default/more" in edge.until("created")
    edge.wait(until=lambda: answers(edge, "https://more.quay.example/", "418"), what="the new host, and its name")
    (manifests / "more.yaml").unlink()
    assert "VirtualService default/more" in edge.until("removed")


def test_a_load_balancer_keeps_its_name_and_that_is_reported(up: Start, manifests: Path) -> None:
    edge = up(manifests).ready()
    name = next(part["name"] for part in edge.status()["parts"] if part["part"] == "load balancer")
    scheme = "    alb.ingress.kubernetes.io/scheme: internet-facing\n"
    replace(manifests / "ingress.yaml", scheme, scheme + "    alb.ingress.kubernetes.io/load-balancer-name: quay\n")
    reported = edge.until("keeps its name")
    assert "ingress.yaml:9:" in reported
    assert "LG1111" in reported
    now = edge.status()
    assert [part["name"] for part in now["parts"] if part["part"] == "load balancer"] == [name]
    assert now["ready"]


def test_a_broken_file_is_reported_with_its_line_and_the_last_good_state_goes_on(up: Start, manifests: Path) -> None:
    edge = up(manifests).ready()
    replace(manifests / "routes.yaml", "spec:\n", "spec: [\n")
    reported = edge.until("routes.yaml:")
    assert "error" in reported
    assert "LG0001" in reported
    assert answers(edge, "https://quay.example/", "quay-service:8072")
    replace(manifests / "routes.yaml", "spec: [\n", "spec:\n")
    edge.until("all errors in the files are fixed")


def test_no_request_is_dropped_while_routes_change(up: Start, manifests: Path) -> None:
    edge = up(manifests).ready()
    codes: list[str] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            codes.append(edge.curl("-o", "/dev/null", "-w", "%{http_code}\n", "https://quay.example/?n=[1-40]"))

    thread = threading.Thread(target=load)
    thread.start()
    port = 8072
    try:
        for new in (9001, 9002, 9003):
            replace(manifests / "routes.yaml", f"number: {port}", f"number: {new}")
            port = new
            edge.until("changed")
            serves = f"quay-service:{port}"
            edge.wait(until=partial(answers, edge, "https://quay.example/", serves), what="the change")
    finally:
        done.set()
        thread.join()
    assert set("".join(codes).split()) == {"200"}


def test_a_secret_that_arrives_later_is_served_without_a_restart(up: Start, manifests: Path) -> None:
    certificates = (manifests / "certificates.yaml").read_text()
    issuer, certificate = certificates.split("---\n")[1:]
    (manifests / "certificates.yaml").write_text(issuer)
    edge = up(manifests).ready()
    envoys = edge.status()["envoys"]
    assert answers(edge, "https://quay.example/", "200")  # with the self-signed certificate that is supplied
    (manifests / "late.yaml").write_text(certificate)
    edge.until("issued over ACME")
    edge.wait(until=lambda: answers(edge, "https://quay.example/", "200"), what="TLS at the gateway")
    assert edge.status()["envoys"] == envoys


def test_a_killed_envoy_is_back_with_its_configuration(up: Start, manifests: Path) -> None:
    edge = up(manifests).ready()
    for node in ("alb", "gateway"):
        os.kill(edge.status()["envoys"][node]["pid"], signal.SIGKILL)
        edge.wait(until=lambda: answers(edge, "https://quay.example/", "200"), what=f"{node} is back")
        assert edge.status()["envoys"][node]["restarts"] == 1


def test_without_a_gateway_the_load_balancer_answers_for_itself(up: Start, manifests: Path) -> None:
    edge = up(manifests).ready()
    (manifests / "gateway.yaml").unlink()  # the gateway's Pods run on, and listen for nothing
    edge.until("removed")
    address = f"https://quay.example:{listener_port(edge, 443)}/"
    resolve = ["--noproxy", "*", "--connect-to", f"::127.0.0.1:{listener_port(edge, 443)}"]
    edge.wait(until=lambda: " 502 " in edge.curl("-i", *resolve, address), what="the load balancer's own error")
    assert "server: awselb/2.0" in edge.curl("-i", *resolve, address).lower()


def test_a_route_that_envoy_would_reject_is_left_out_and_everything_else_goes_on(up: Start, manifests: Path) -> None:
    edge = up(manifests).ready()
    # RE2 takes it, and Envoy's limit on the size of a compiled program does not.
    odd = ODD.replace("REGEX", "[^a]{1000}" * 40)
    (manifests / "odd.yaml").write_text(odd)
    line = edge.until("odd.yaml:")
    assert re.search(r"odd\.yaml:10:15: error: Envoy refuses the regular expression .* this route is left out", line)
    assert answers(edge, "https://www.quay.example/", "200")
    replace(manifests / "routes.yaml", "[quay.example, www.quay.example]", "[quay.example, new.quay.example]")
    edge.wait(until=lambda: answers(edge, "https://new.quay.example/", "200"), what="a host that came afterwards")
    assert answers(edge, "https://odd.quay.example/", "299")  # the other route of the same VirtualService
    (fault,) = (each for each in edge.status()["faults"] if each["code"] == "LG2001")
    assert (fault["position"]["line"], fault["subject"]) == (10, "VirtualService istio-system/odd")
    (manifests / "odd.yaml").write_text(ODD.replace("REGEX", "/a+"))
    edge.wait(until=lambda: answers(edge, "https://odd.quay.example/aaa", "298"), what="it is corrected")
    assert not [each for each in edge.status()["faults"] if each["code"] == "LG2001"]


ODD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: odd, namespace: istio-system}
spec:
  hosts: [odd.quay.example]
  gateways: [istio-system/quay]
  http:
    - match: [{uri: {exact: /other}}]
      directResponse: {status: 297}
    - match: [{uri: {regex: "REGEX"}}]
      directResponse: {status: 298}
    - directResponse: {status: 299}
"""


def test_objects_changed_with_kubectl_are_served(up: Start, manifests: Path) -> None:
    edge = up(manifests).ready()
    patch = json.dumps({"spec": {"http": [{"directResponse": {"status": 299}}]}})
    edge.exec("kubectl", "patch", "virtualservice", "quay", "--type", "merge", "-p", patch)
    edge.wait(until=lambda: answers(edge, "https://quay.example/", "299"), what="the patch")


def test_a_load_balancer_made_by_hand_serves_too(up: Start, manifests: Path) -> None:
    edge = up(manifests).ready()
    script = Path(__file__).parent / "by_hand.py"
    reported = json.loads(edge.exec(os.sys.executable, str(script)))  # type: ignore[attr-defined]
    edge.wait(
        until=lambda: reported["dns_name"].lower() in str(edge.status()["hops"][0]["addresses"]), what="an address"
    )
    balancer = next(
        each for each in edge.status()["hops"][1]["load_balancers"] if each["dns_name"] == reported["dns_name"]
    )
    (listener,) = balancer["listeners"]
    address = f"http://{balancer['address']}:{listener['local_port']}/"
    edge.wait(until=lambda: "teapot" in edge.curl("--noproxy", "*", address), what="it answers")
