"""The load balancer controller's own metrics, with the names and labels of the real one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from lockgate.controllers.aws import ApiCall, Aws, AwsError
from lockgate.controllers.aws_load_balancer.metrics import ControllerMetrics
from lockgate.controllers.runtime import Outcome, Queue
from lockgate.embedded.aws import AwsApi


def test_calls_are_counted_for_the_caller_alone() -> None:
    async def scenario() -> str:
        api = AwsApi("123456789012", "eu-west-1", access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="s")
        await api.start()
        aws = Aws(region="eu-west-1", endpoint=api.url, access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="s")
        metrics = ControllerMetrics()
        view = aws.for_caller(metrics.called)
        try:
            await view.call("elbv2", "describe_load_balancers")
            await view.list("elbv2", "describe_target_groups", "TargetGroups")
            with suppress(AwsError):
                await view.call("elbv2", "describe_listeners", LoadBalancerArn="arn:aws:nothing")
            await aws.call("elbv2", "describe_load_balancers")
        finally:
            aws.close()
            await api.stop()
        return metrics.exposition()

    text = asyncio.run(scenario())
    service = 'service="Elastic Load Balancing v2"'
    ok = 'status_code="200",error_code=""'
    assert f'aws_api_calls_total{{{service},operation="DescribeLoadBalancers",{ok}}} 1\n' in text
    assert f'aws_api_calls_total{{{service},operation="DescribeTargetGroups",{ok}}} 1\n' in text
    assert 'operation="DescribeListeners",status_code="400",error_code="' in text
    assert f'aws_api_call_duration_seconds_count{{{service},operation="DescribeLoadBalancers"}} 1\n' in text
    assert f'aws_api_call_retries_bucket{{{service},operation="DescribeLoadBalancers",le="0"}} 1\n' in text


@pytest.mark.parametrize(
    ("status", "error", "name"),
    [
        (403, "AccessDenied", "aws_api_call_permission_errors_total"),
        (400, "Throttling", "aws_api_call_throttled_errors_total"),
        (400, "ValidationError", "aws_api_call_validation_errors_total"),
        (400, "TooManyRules", None),
    ],
)
def test_kinds_of_errors(status: int, error: str, name: str | None) -> None:
    metrics = ControllerMetrics()
    metrics.called(ApiCall("Elastic Load Balancing v2", "CreateRule", status, error, 0.02, 2))
    text = metrics.exposition()
    found = [line for line in text.splitlines() if "_errors_total{" in line]
    assert [line.partition("{")[0] for line in found] == ([name] if name else [])
    assert 'aws_api_call_retries_bucket{service="Elastic Load Balancing v2",operation="CreateRule",le="1"} 0' in text


def test_reconciliations_by_result() -> None:
    metrics = ControllerMetrics()
    done = asyncio.Event()

    async def scenario() -> None:
        def told(outcome: Outcome, seconds: float) -> None:
            metrics.reconciled("ingress", outcome, seconds)

        queue: Queue[str] = Queue(done=told)

        async def reconcile(key: str) -> None:
            if key == "bad":
                raise ValueError("broken")
            if key == "later":
                queue.add_after(key, 60)
            if key == "last":
                done.set()

        for key in ("good", "bad", "later", "last"):
            queue.add(key)
        running = asyncio.create_task(queue.run(reconcile, name="ingress"))
        await done.wait()
        await asyncio.sleep(0)
        running.cancel()

    asyncio.run(scenario())
    text = metrics.exposition()
    for result, count in (("error", 1), ("requeue_after", 1), ("success", 2)):
        assert f'controller_runtime_reconcile_total{{controller="ingress",result="{result}"}} {count}\n' in text
    assert 'controller_runtime_reconcile_errors_total{controller="ingress"} 1\n' in text
    assert 'controller_runtime_reconcile_time_seconds_count{controller="ingress"} 4\n' in text
