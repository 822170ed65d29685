"""`apply` against an account and a cluster that are slow and fail, and killed at each of its steps."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lockgate.deploy.destroying import destroy
from lockgate.deploy.destroying import planned as destroyed
from tests.deploy.deploy_rig import Quiet
from tests.edge import rights
from tests.edge.conftest import PATIENCE, ROOT, Start, Up
from tests.edge.shipping import calls, planned, ship, uncovered, writes

pytestmark = pytest.mark.edge

EDGE = ROOT / "examples" / "edge"
RULES = (
    "acm:*=ThrottlingException%20",
    "route53:*=Throttling%20",
    "elbv2:*=Throttling%10",
    "route53:ChangeResourceRecordSets=PriorRequestNotComplete*2",
    "acm:DescribeCertificate=ResourceNotFoundException*2",
    "elbv2:DescribeLoadBalancers=stale:2",
    "kubernetes:patch/gateways=ServiceUnavailable*2",
    "kubernetes:list/pods=TooManyRequests*2",
)
_BEGAN = re.compile(r"^\s*\d+:\d\d … (.*)$")


def test_throttling_and_stale_answers_do_not_stop_it(up: Start) -> None:
    rules = (part for text in RULES for part in ("--fail", text))
    edge = up(EDGE, "--empty", "--latency", "20", *rules, name="slow").ready()
    ship(edge, "apply", EDGE, "--yes")
    assert not planned(edge, EDGE, check=0)["changes"]
    assert '"service": "shop/web:3000"' in edge.curl("https://towpath.example/")
    edge.stop()


def test_killed_at_each_step_it_goes_on(up: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = up(EDGE, "--empty", name="killed").ready()
    options = ("--identity", "irsa")
    killed: set[str] = set()
    while (step := _killed_in_a_new_step(edge, killed, "apply", *options)) is not None:
        killed.add(step)
    # A wait may be over before it is begun again.
    assert {each.partition(" ")[0] for each in killed} >= {"request", "write", "create", "let", "restart"}
    assert len(killed) >= 12
    assert not planned(edge, EDGE, *options, check=0)["changes"]
    assert not uncovered(edge, planned(edge, EDGE, *options)["iam"]["apply"])
    certificates = json.loads(edge.exec("aws", "acm", "list-certificates"))["CertificateSummaryList"]
    assert len(certificates) == 1
    before = writes(calls(edge))
    ship(edge, "apply", EDGE, "--yes", *options)
    assert writes(calls(edge)) == before
    said = asyncio.run(asyncio.wait_for(_destroyed_one_by_one(edge, monkeypatch), 3 * PATIENCE))
    assert {each.partition(" ")[0] for each in said} >= {"record", "Ingress", "Service", "annotation", "ACM", "IAM"}
    assert "Nothing to delete" in ship(edge, "destroy", EDGE, "--yes").stdout
    for command, key in (
        (("elbv2", "describe-load-balancers"), "LoadBalancers"),
        (("acm", "list-certificates"), "CertificateSummaryList"),
        (("iam", "list-roles"), "Roles"),
        (("iam", "list-open-id-connect-providers"), "OpenIDConnectProviderList"),
    ):
        assert json.loads(edge.exec("aws", *command))[key] == []
    edge.stop()


class Killed(BaseException):
    """Ends `destroy` where it is, and nothing handles it."""


class _KilledAtOnce(Quiet):
    def gone(self, text: str) -> None:
        raise Killed(text)


async def _destroyed_one_by_one(edge: Up, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`destroy` again and again, each time ended after the first thing that it has deleted."""
    policy = planned(edge, EDGE)["iam"]["destroy"]
    allowed = frozenset(action for each in policy["Statement"] for action in each["Action"])
    said: list[str] = []
    async with rights.limited(edge, EDGE, allowed, monkeypatch) as session:
        while True:
            plan, wanted = await destroyed(session)
            if not wanted.anything:
                return said
            try:
                await destroy(session, plan, wanted, _KilledAtOnce())
            except Killed as killed:
                said.append(str(killed))


def _killed_in_a_new_step(edge: Up, killed: set[str], verb: str, *options: str) -> str | None:
    """Runs it until it begins a step in which it was not killed before, and kills it there. None if it ends."""
    command = ["exec", "--name", edge.name, "--", sys.executable, "-m", "lockgate", verb, str(EDGE), "--yes", *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "lockgate", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: list[str] = []
    deadline = time.monotonic() + 3 * PATIENCE
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        assert time.monotonic() < deadline, "".join(lines)
        if (match := _BEGAN.match(line)) and match[1] not in killed:
            process.send_signal(signal.SIGKILL)
            process.wait(20)
            return match[1]
    assert process.wait(20) == 0, "".join(lines)
    return None


def test_without_a_controller_it_says_so_before_it_writes(up: Start, tmp_path: Path) -> None:
    edge = up(EDGE, "--empty", name="lacking").ready()
    edge.exec("kubectl", "delete", "deployment", "-n", "cert-manager", "cert-manager")
    image = "*=docker.io/istio/pilot:1.17.1"
    edge.exec("kubectl", "set", "image", "-n", "istio-system", "deployment/istiod", image)
    found = planned(edge, EDGE, check=1)
    assert [each["text"] for each in found["problems"]] == ["the cluster has no cert-manager"]
    assert found["misfits"][0].startswith("Istio 1.17.1 supports Kubernetes 1.23 to 1.26, and the cluster has 1.32")
    before = writes(calls(edge))
    assert "cert-manager" in ship(edge, "apply", EDGE, "--yes", check=1).stderr
    assert writes(calls(edge)) == before
    helm = tmp_path / "helm"
    helm.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\ncat >> {tmp_path}/values\n')
    helm.chmod(0o755)
    installing = planned(edge, EDGE, "--install", check=2)
    assert [each["name"] for each in installing["releases"]] == ["cert-manager"]
    edge.stop()
