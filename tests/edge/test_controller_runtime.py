"""A controller made with controller-runtime, in place of one of the edge's own: `peers/tally`."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge.conftest import GUIDE, Start, Up

TALLY = Path(sys.prefix) / "peers" / "tally"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def get(edge: Up, *what: str) -> Any:
    return json.loads(edge.exec("kubectl", "get", *what, "-o", "json"))


def there(edge: Up, *what: str) -> bool:
    return bool(edge.exec("kubectl", "get", *what, "--ignore-not-found", "-o", "name"))


@pytest.fixture(scope="module")
def edge(up: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The controller runs, and its webhook is asked about Ingresses."""
    edge, port = up(GUIDE, "--external", "aws-load-balancer-controller").ready(), free_port()
    given = json.loads(edge.lockgate("env", "--for", "aws-load-balancer-controller", "--output", "json").stdout)
    folder = next(each for each in given["flags"] if each.startswith("--webhook-cert-dir=")).partition("=")[2]
    log = tmp_path_factory.mktemp("tally") / "log"
    with log.open("w") as output:
        environment = {**os.environ, **given["variables"]}
        process = subprocess.Popen(
            [TALLY, "-certs", folder, "-port", str(port)], env=environment, stdout=output, stderr=output
        )
    try:
        edge.wait(until=lambda: answers(port, process, log), what="its webhook listens")
        configure(edge, port, Path(given["variables"]["SSL_CERT_FILE"]), log.parent)
        yield edge
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def configure(edge: Up, port: int, bundle: Path, folder: Path) -> None:
    authorities = base64.b64encode(bundle.read_bytes()).decode()
    webhook = {
        "name": "ingresses.tally.example",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/validate", "caBundle": authorities},
        "rules": [
            {
                "apiGroups": ["networking.k8s.io"],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["ingresses"],
            }
        ],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "tally"},
        "webhooks": [webhook],
    }
    (folder / "webhook.json").write_text(json.dumps(configuration))
    edge.exec("kubectl", "create", "-f", str(folder / "webhook.json"))


def create(edge: Up, name: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    rule = f"--rule={name}.example/*=web:80"
    return edge.lockgate("exec", "--", "kubectl", "create", "ingress", name, rule, "--class=alb", check=check)


def test_it_leads_and_does_its_work(edge: Up) -> None:
    create(edge, "one")
    edge.wait(
        until=lambda: there(edge, "event", "--field-selector=reason=Tallied,involvedObject.name=one"), what="its event"
    )
    ingress = get(edge, "ingress", "one")
    assert ingress["status"]["loadBalancer"]["ingress"] == [{"hostname": "tally.example"}]
    assert "tally.example/finalizer" in ingress["metadata"]["finalizers"]
    applied = get(edge, "configmap", "tally-one", "--show-managed-fields")
    assert applied["data"] == {"rules": "1"}
    assert [each["manager"] for each in applied["metadata"]["managedFields"]] == ["tally"]
    assert get(edge, "secret", "tally-one")["metadata"]["ownerReferences"][0]["uid"] == ingress["metadata"]["uid"]
    assert get(edge, "lease", "tally", "-n", "default")["spec"]["holderIdentity"]


def test_a_change_reaches_it_and_what_it_owns_is_made_again(edge: Up) -> None:
    create(edge, "two")
    edge.wait(until=lambda: there(edge, "secret", "tally-two"), what="its Secret")
    edge.exec("kubectl", "delete", "secret", "tally-two")
    edge.wait(until=lambda: there(edge, "secret", "tally-two"), what="its Secret again")
    path = '[{"op": "add", "path": "/spec/rules/-", "value": {"host": "three.example"}}]'
    edge.exec("kubectl", "patch", "ingress", "two", "--type=json", "-p", path)
    edge.wait(until=lambda: get(edge, "configmap", "tally-two")["data"] == {"rules": "2"}, what="two rules")


def test_its_webhook_denies_and_warns(edge: Up) -> None:
    done = create(edge, "forbidden", check=False)
    assert done.returncode != 0
    assert 'admission webhook "ingresses.tally.example" denied the request: the name is taken' in done.stderr
    assert "Warning: seen by tally" in create(edge, "welcome").stderr


def test_a_deleted_ingress_waits_for_its_finalizer_and_takes_what_it_owns_along(edge: Up) -> None:
    create(edge, "gone")
    edge.wait(until=lambda: there(edge, "secret", "tally-gone"), what="its Secret")
    edge.exec("kubectl", "delete", "ingress", "gone", "--timeout=30s")
    edge.wait(until=lambda: not there(edge, "secret", "tally-gone"), what="garbage collection")
