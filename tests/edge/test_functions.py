"""A Lambda function behind a running edge: made with the aws CLI, led to by an Ingress, run by a program of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.edge.conftest import Start, Up
from tests.edge.test_login import ingress_class

pytestmark = pytest.mark.edge

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:{}"


class Functions(ThreadingHTTPServer):
    """As `sam local start-lambda`: functions by their names, at the path of Lambda's Invoke API."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Invocation)
        self.events: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Invocation(BaseHTTPRequestHandler):
    server: Functions

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.events.append(event)
        known = self.path == "/2015-03-31/functions/orders/invocations"
        answer = {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(event)}
        text = json.dumps(answer).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


def ingress(name: str, action: dict[str, Any]) -> dict[str, Any]:
    backend = {"service": {"name": "act", "port": {"name": "use-annotation"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {
                "alb.ingress.kubernetes.io/group.name": "functions",
                "alb.ingress.kubernetes.io/scheme": "internet-facing",
                "alb.ingress.kubernetes.io/actions.act": json.dumps(action),
            },
        },
        "spec": {
            "ingressClassName": "alb",
            "rules": [{"host": f"{name}.functions.example", "http": {"paths": [path]}}],
        },
    }


@pytest.fixture(scope="module")
def functions() -> Iterator[Functions]:
    made = Functions()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def edge(up: Start, functions: Functions, tmp_path_factory: pytest.TempPathFactory) -> Up:
    folder = tmp_path_factory.mktemp("functions")
    fixed = {"type": "fixed-response", "fixedResponseConfig": {"statusCode": "204"}}
    (folder / "standing.yaml").write_text(yaml.safe_dump_all([ingress_class(), ingress("standing", fixed)]))
    return up(folder, "--backend", f"lambda:orders={functions.url}").ready()


def test_an_ingress_leads_to_a_function(edge: Up, functions: Functions, tmp_path: Path) -> None:
    for name in ("orders", "nameless", "empty"):
        group = aws(edge, "create-target-group", "--name", name, "--target-type", "lambda")["TargetGroups"][0]
        if name != "empty":
            edge.exec(*ELBV2, "register-targets", "--target-group-arn", group["TargetGroupArn"],
                  "--targets", f"Id={FUNCTION.format(name)}")  # fmt: skip
        action = {"type": "forward", "targetGroupARN": group["TargetGroupArn"]}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(ingress(name, action)))
    edge.exec("kubectl", "apply", "-f", str(tmp_path))

    answer = ""

    def answers() -> bool:
        nonlocal answer
        answer = edge.curl("http://orders.functions.example/a?b=c")
        return answer.startswith("{")

    edge.wait(until=answers, what="an answer of the function")
    event = json.loads(answer)
    orders = aws(edge, "describe-target-groups", "--names", "orders")["TargetGroups"][0]
    assert event["requestContext"]["elb"]["targetGroupArn"] == orders["TargetGroupArn"]
    assert (event["path"], event["queryStringParameters"]) == ("/a", {"b": "c"})
    assert event["headers"]["host"] == "orders.functions.example"

    def status(name: str) -> str:
        return edge.curl("-o", "/dev/null", "-w", "%{http_code}", f"http://{name}.functions.example/")

    assert (status("nameless"), status("empty")) == ("502", "503")
    assert "`lockgate up … --backend lambda:nameless=http://HOST:PORT`" in edge.log()


def test_functions_are_checked_only_where_that_is_asked_for(edge: Up, functions: Functions) -> None:
    arn = aws(edge, "describe-target-groups", "--names", "orders")["TargetGroups"][0]["TargetGroupArn"]

    def health() -> dict[str, str]:
        reported = aws(edge, "describe-target-health", "--target-group-arn", arn)["TargetHealthDescriptions"]
        return dict(reported[0]["TargetHealth"])

    assert health() == {
        "State": "unavailable",
        "Reason": "Target.HealthCheckDisabled",
        "Description": "Health checks are disabled for this target",
    }
    assert "ELB-HealthChecker/2.0" not in json.dumps(functions.events)
    aws(edge, "modify-target-group", "--target-group-arn", arn, "--health-check-enabled", "--health-check-path", "/up")
    edge.wait(until=lambda: health() == {"State": "healthy"}, what="a healthy function")
    checks = [event for event in functions.events if event["headers"] == {"user-agent": "ELB-HealthChecker/2.0"}]
    assert checks[0]["path"] == "/up"


ELBV2 = ("aws", "elbv2")


def aws(edge: Up, *arguments: str) -> Any:
    return json.loads(edge.exec(*ELBV2, *arguments, "--output", "json"))
