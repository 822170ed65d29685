"""The guide's edge, from an empty account and cluster to a browser's request and back."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lockgate.deploy.destroying import destroy
from lockgate.deploy.destroying import planned as destroyed
from lockgate.errors import CommandError
from tests.deploy.deploy_rig import Quiet
from tests.edge import rights
from tests.edge.conftest import PATIENCE, ROOT, Start, Up
from tests.edge.shipping import calls, planned, ship, writes

pytestmark = pytest.mark.edge

EDGE = ROOT / "examples" / "edge"


@pytest.fixture(scope="module")
def empty(up: Start) -> Up:
    return up(EDGE, "--empty", name="ship").ready()


@pytest.fixture(scope="module")
def shipped(empty: Up) -> Up:
    plan = planned(empty, EDGE, check=2)
    assert not plan["problems"]
    assert {each["action"] for each in plan["objects"]} == {"create"}
    assert [each["arn"] for each in plan["certificates"]] == [None]
    assert not writes(calls(empty))
    assert "All is as the manifests say." in ship(empty, "apply", EDGE, "--yes").stdout
    return empty


def test_requests_reach_the_backend_over_both_hops(shipped: Up) -> None:
    assert '"service": "shop/web:3000"' in shipped.curl("https://towpath.example/")
    assert "301" in shipped.curl("-o", "/dev/null", "-w", "%{http_code}", "http://towpath.example/x")


def test_the_second_run_writes_nothing(shipped: Up) -> None:
    versions = resource_versions(shipped)
    before = writes(calls(shipped))
    assert before["route53:ChangeResourceRecordSets"] == 2
    assert "Nothing to do" in ship(shipped, "apply", EDGE, "--yes").stdout
    assert writes(calls(shipped)) == before
    assert resource_versions(shipped) == versions
    assert planned(shipped, EDGE, check=0)["requests"]["equal"]


def resource_versions(edge: Up) -> str:
    path = "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion} {end}"
    return edge.exec("kubectl", "get", "ingress,certificate,gateway,virtualservice,service", "-A", "-o", path)


def test_files_are_not_edited(shipped: Up, tmp_path: Path) -> None:
    assert "5f1d6c1e" in (EDGE / "30-load-balancer.yaml").read_text()


def test_every_call_is_in_the_printed_policy_and_the_policy_has_no_more(shipped: Up) -> None:
    policies = planned(shipped, EDGE)["iam"]
    allowed = {action for each in policies["apply"]["Statement"] for action in each["Action"]}
    called = {
        name.replace("elbv2:", "elasticloadbalancing:")
        for name in calls(shipped)
        if not name.startswith(("kubernetes:", "sts:"))
    }
    assert called <= allowed
    # Tags are set with the request of a certificate, and IAM asks for a right of its own.
    assert allowed - called <= {"acm:AddTagsToCertificate", *DESTROY_READS}


DESTROY_READS = ("acm:ListTagsForCertificate", "route53:ListTagsForResource")


def test_a_plan_asks_little_more_than_it_must(shipped: Up) -> None:
    """Of AWS each question once: the least calls for one Ingress, by ship's table, are these."""
    before = calls(shipped)
    planned(shipped, EDGE, check=0)
    made = calls(shipped) - before
    least = LEAST_AWS + LEAST_CLUSTER + 7  # dry runs of seven objects
    assert sum(made.values()) <= 1.2 * least, sorted(made.items())


# sts, eks, zones, records, certificates, limits; load balancers and groups listed, with tags of both and of what they
# have; of one load balancer itself, its listeners, the rules of two, one's certificates, attributes of each and of the
# group, health; security groups by tag and by name.
LEAST_AWS = 6 + 2 + 2 + 1 + 1 + 2 + 1 + 2 + 1 + 1 + 2
LEAST_CLUSTER = 2 + 25  # version, discovery, and one list for each kind that decides


def test_verify_finds_no_drift_and_then_each(shipped: Up) -> None:
    rows = json.loads(ship(shipped, "verify", EDGE, "--output", "json").stdout)
    assert {each["verdict"] for each in rows} == {"fine"}
    assert {each["name"] for each in rows if each["part"] == "host"} == {
        "https://towpath.example/",
        "https://www.towpath.example/",
    }
    shipped.exec("kubectl", "delete", "virtualservice", "-n", "shop", "towpath")
    drifted = json.loads(ship(shipped, "verify", EDGE, "--no-probe", "--output", "json", check=1).stdout)
    assert [each["name"] for each in drifted if each["verdict"] == "drift"] == ["VirtualService shop/towpath"]
    ship(shipped, "apply", EDGE, "--yes")
    ship(shipped, "verify", EDGE, "--no-probe")


def test_an_older_revision_is_the_way_back(shipped: Up, tmp_path: Path) -> None:
    """What a newer one added is deleted, and the plan says which requests that changes."""
    newer = tmp_path / "newer"
    shutil.copytree(EDGE, newer)
    route = (EDGE / "50-routes.yaml").read_text().partition("---")[0].replace("name: towpath", "name: blog")
    route = route.replace("[towpath.example, www.towpath.example]", "[blog.towpath.example]")
    (newer / "60-blog.yaml").write_text(route)
    ship(shipped, "apply", newer, "--yes")
    assert '"service": "shop/web:3000"' in shipped.curl("https://blog.towpath.example/")
    back = planned(shipped, EDGE, check=2)
    assert [each["object"] for each in back["objects"] if each["action"] == "delete"] == ["VirtualService shop/blog"]
    assert not back["requests"]["equal"]
    ship(shipped, "apply", EDGE, "--yes")
    assert not planned(shipped, EDGE, check=0)["changes"]
    records = shipped.exec("aws", "route53", "list-resource-record-sets", "--hosted-zone-id", "Z08765432TOWPATH0001")
    assert "blog" not in records


def test_a_field_that_somebody_else_took_is_a_conflict(shipped: Up) -> None:
    path = "alb.ingress.kubernetes.io/healthcheck-path=/other"
    shipped.exec("kubectl", "annotate", "--overwrite", "ingress", "edge", "-n", "istio-system", path)
    problems = [each["text"] for each in planned(shipped, EDGE, check=1)["problems"]]
    assert len(problems) == 1
    assert "kubectl-annotate" in problems[0]
    assert "problem" in ship(shipped, "apply", EDGE, "--yes", check=1).stderr
    ship(shipped, "apply", EDGE, "--yes", "--force-conflicts")
    assert planned(shipped, EDGE, check=0)["requests"]["equal"]


# Asked before the certificate is issued and before the load balancer exists: `tests/deploy/test_permissions.py`.
BEFORE = ("acm:DescribeCertificate", "ec2:DescribeRouteTables", "ec2:DescribeSubnets")


def _actions(policy: dict[str, Any]) -> frozenset[str]:
    return frozenset(action for each in policy["Statement"] for action in each["Action"])


def test_each_denied_read_is_named_in_a_line(shipped: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with exactly the printed policy, and then without each of its actions. None is in it in vain."""
    allowed = _actions(planned(shipped, EDGE, check=0)["iam"]["plan"])

    async def run() -> None:
        async with rights.limited(shipped, EDGE, allowed, monkeypatch) as session:
            assert not (await session.plan()).changes
            for action in sorted(allowed - set(DESTROY_READS)):
                rights.denying(action)
                try:
                    said = [f"{each.what}: {each.why}" for each in (await session.plan()).seen.unread]
                except CommandError as error:
                    said = [str(error)]
                assert rights.was_met() or action in BEFORE, action
                assert not rights.was_met() or [each for each in said if action in each and "\n" not in each], said

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_each_denied_deletion_is_named_in_a_line(shipped: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = planned(shipped, EDGE, check=0)["iam"]
    allowed = _actions(policies["destroy"])
    of_destroy = ("acm:DeleteCertificate", "acm:DescribeCertificate", "route53:ChangeResourceRecordSets")
    assert allowed >= {*of_destroy, *DESTROY_READS}

    async def run() -> None:
        async with rights.limited(shipped, EDGE, allowed, monkeypatch) as session:
            # The certificate goes last: until it does, the others need to be found.
            for action in (*DESTROY_READS, *reversed(of_destroy)):
                rights.denying(action)
                with pytest.raises(CommandError, match=f"not authorized to perform: {action}"):
                    await destroy(session, *await destroyed(session), Quiet())
            rights.denying("")
            await destroy(session, *await destroyed(session), Quiet())

    asyncio.run(asyncio.wait_for(run(), 3 * PATIENCE))
    ship(shipped, "apply", EDGE, "--yes")


def test_destroy_leaves_nothing_behind_and_nothing_of_others_is_lost(shipped: Up) -> None:
    others = shipped.exec("kubectl", "get", "service,deployment", "-A", "-o", "name").splitlines()
    interface, group, rule = held(shipped)
    inside = ["exec", "--name", shipped.name, "--", sys.executable, "-m", "lockgate", "destroy", str(EDGE), "--yes"]
    process = subprocess.Popen([sys.executable, "-m", "lockgate", *inside], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for said in process.stdout:
        if f"rules of {group} (others) refer to" in said:
            shipped.exec("aws", "ec2", "revoke-security-group-ingress", *rule)
        if f"{interface} still there" in said:
            shipped.exec("aws", "ec2", "delete-network-interface", "--network-interface-id", interface)
    assert process.wait(PATIENCE) == 0
    shipped.exec("aws", "ec2", "delete-security-group", "--group-id", group)
    left = shipped.exec("kubectl", "get", "service,deployment", "-A", "-o", "name").splitlines()
    assert set(others) - set(left) == {"service/api", "service/web"}
    kinds = "ingress,certificate,clusterissuer,gateway,virtualservice,targetgroupbinding"
    assert shipped.exec("kubectl", "get", kinds, "-A", "-o", "name") == ""
    records = shipped.exec(
        *("aws", "route53", "list-resource-record-sets", "--hosted-zone-id", "Z08765432TOWPATH0001"),
        *("--query", "ResourceRecordSets[].Type", "--output", "text"),
    )
    assert records.split() == ["NS", "SOA"]
    for command, key in (("describe-load-balancers", "LoadBalancers"), ("describe-target-groups", "TargetGroups")):
        assert json.loads(shipped.exec("aws", "elbv2", command))[key] == []
    assert json.loads(shipped.exec("aws", "acm", "list-certificates"))["CertificateSummaryList"] == []
    groups = json.loads(shipped.exec("aws", "ec2", "describe-security-groups"))["SecurityGroups"]
    assert [each["GroupName"] for each in groups] == ["default"]
    assert "Nothing to delete" in ship(shipped, "destroy", EDGE, "--yes").stdout


def held(edge: Up) -> tuple[str, str, tuple[str, ...]]:
    """What keeps a load balancer's security group in AWS: a rule of others that refers to it; and a network interface,
    which outlives its load balancer by minutes."""

    def ec2(*arguments: str) -> str:
        return edge.exec("aws", "ec2", *arguments, "--output", "text").strip()

    arn = edge.exec("aws", "elbv2", "describe-load-balancers", "--query", "LoadBalancers[0].LoadBalancerArn")
    name = json.loads(arn).rpartition("loadbalancer/")[2]
    subnet = ec2("describe-subnets", "--query", "Subnets[0].SubnetId")
    query = "NetworkInterface.NetworkInterfaceId"
    about = ("--subnet-id", subnet, "--description", f"ELB {name}", "--query", query)
    interface = ec2("create-network-interface", *about)
    query = "SecurityGroups[?starts_with(GroupName,`k8s-istiosys`)].GroupId"
    managed = ec2("describe-security-groups", "--query", query)
    group = ec2("create-security-group", "--group-name", "others", "--description", "others", "--query", "GroupId")
    rule = ("--group-id", group, "--protocol", "tcp", "--port", "80", "--source-group", managed)
    ec2("authorize-security-group-ingress", *rule)
    return interface, group, rule
