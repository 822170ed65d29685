"""Events and results of Lambda functions, as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.loadbalancer.lambda_function import Invalid, Request, Response, event, health_check_event, response

TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases/loadbalancer/lambda.yaml").read_text())


@pytest.mark.parametrize("case", TABLE["events"], ids=lambda case: case["name"])
def test_a_function_gets_a_request_as_an_event(case: dict[str, Any]) -> None:
    method, target = case["request"].split(" ")
    path, _, query = target.partition("?")
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in case.get("headers", ())))
    request = Request(method, path, query, headers, case.get("body", "").encode())
    described = event(request, "arn:group", multi_value=case.get("multi_value", False))
    assert {key: described.get(key, "ABSENT") for key in case["event"]} == case["event"]


@pytest.mark.parametrize("case", TABLE["responses"], ids=lambda case: case["name"])
def test_a_result_is_an_answer(case: dict[str, Any]) -> None:
    found = response(case["result"].encode(), multi_value=case.get("multi_value", False))
    if "invalid" in case:
        assert found == Invalid(case["invalid"])
        return
    assert isinstance(found, Response)
    described = {
        "status": found.status,
        "phrase": found.phrase,
        "headers": [f"{name}: {value}" for name, value in found.headers],
        "body": found.body.decode(),
    }
    expected = {key: case[key] for key in described if key in case}
    assert {key: described[key] for key in expected} == expected


def test_text_that_is_not_utf_8_is_no_event() -> None:
    request = Request("POST", "/", "", (("content-type", "text/plain"),), b"\xff")
    with pytest.raises(UnicodeDecodeError):
        event(request, "arn:group", multi_value=False)


def test_a_health_check_is_known_by_its_user_agent() -> None:
    assert health_check_event("/up?deep", "arn:group", multi_value=False) == {
        "requestContext": {"elb": {"targetGroupArn": "arn:group"}},
        "httpMethod": "GET",
        "path": "/up",
        "queryStringParameters": {"deep": ""},
        "headers": {"user-agent": "ELB-HealthChecker/2.0"},
        "body": "",
        "isBase64Encoded": False,
    }
