"""The front door: credentials, services, protocols, changes, and the official command line client."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aws_lab import ACCOUNT, KEY, REGION, SECRET, Lab, lab, refusal

from lockgate.embedded.aws import AwsApi
from lockgate.embedded.aws.elbv2.scope import touched
from lockgate.embedded.aws.protocol import Call

READS = {
    "acm": "list_certificates",
    "ec2": "describe_vpcs",
    "elbv2": "describe_load_balancers",
    "route53": "list_hosted_zones",
    "sts": "get_caller_identity",
}


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.mark.parametrize(
    ("service", "unknown", "wrong"),
    [
        ("acm", "UnrecognizedClientException", "InvalidSignatureException"),
        ("ec2", "AuthFailure", "SignatureDoesNotMatch"),
        ("elbv2", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        ("route53", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        ("sts", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ],
)
def test_credentials_are_checked(running: Lab, service: str, unknown: str, wrong: str) -> None:
    outsider = running.client(service, key="AKIASTRANGER")
    assert refusal(getattr(outsider, READS[service]))[0] == unknown
    forger = running.client(service, secret="guessed")
    assert refusal(getattr(forger, READS[service]))[0] == wrong
    getattr(running.client(service), READS[service])()


def test_another_key_can_be_allowed(running: Lab) -> None:
    running.api.allow_access_key("AKIAIOSFODNN7EXAMPLE", "from the issuer")
    client = running.client("route53", key="AKIAIOSFODNN7EXAMPLE", secret="from the issuer")
    assert "HostedZones" in client.list_hosted_zones()


def test_names_with_blanks_and_signs_are_signed_alike(running: Lab) -> None:
    zone = "Z0123456789ABCDEFGHIJ"
    running.run(running.api.create_hosted_zone("signed.example", zone))
    client = running.client("route53")
    found = client.list_resource_record_sets(HostedZoneId=zone, StartRecordName="a+b ~*.signed.example")
    assert found["IsTruncated"] is False


def test_an_unknown_region(running: Lab) -> None:
    for service, read in READS.items():
        if service != "route53":  # has no regions: its clients sign for us-east-1
            code, message = refusal(getattr(running.client(service, region="mars-1"), read))
            assert message == "Credential should be scoped to a valid region.", code

    async def start() -> None:
        api = AwsApi(ACCOUNT, "mars-1", access_key_id="a", secret_access_key="b")
        await api.start()
        try:
            with pytest.raises(ValueError, match="unknown AWS region mars-1"):
                await api.default_vpc()
        finally:
            await api.stop()

    running.run(start())


def test_a_service_that_is_not_served_is_refused_by_name(running: Lab) -> None:
    code, message = refusal(running.client("sqs").list_queues)
    assert "UnrecognizedServiceException" in code
    assert message.startswith("sqs is not served here")


def test_an_operation_that_moto_lacks_is_refused_in_the_services_protocol(running: Lab) -> None:
    code, message = refusal(running.client("wafv2").list_managed_rule_sets, Scope="REGIONAL")
    assert (code, "list_managed_rule_sets" in message) == ("NotImplemented", True)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"Scope":', b"\xff\xfe", b"null", b'"text"', b"[1]"])
@pytest.mark.parametrize(
    ("service", "operation"),
    [("acm", "list_certificates"), ("wafv2", "list_ip_sets"), ("shield", "list_protections")],
)
def test_a_body_that_is_not_an_object_is_refused(running: Lab, service: str, operation: str, body: bytes) -> None:
    def sent_instead(request: Any, **_: Any) -> None:
        request.data = body

    client = running.client(service)
    client.meta.events.register("before-sign", sent_instead)
    assert refusal(getattr(client, operation)) == (
        "SerializationException",
        "The request could not be read as its operation's input",
    )


VISIBLE = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"}
WEB_ACL = {"Name": "n", "Scope": "REGIONAL", "DefaultAction": {"Allow": {}}, "VisibilityConfig": VISIBLE}


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "message"),
    [
        (
            "wafv2",
            "create_web_acl",
            {**WEB_ACL, "Name": True},
            "SerializationException",
            "Value at 'name' is of type bool, where a string is expected",
        ),
        (
            "cognito-idp",
            "create_user_pool",
            {},
            "InvalidParameterException",
            "1 validation error detected: Value null at 'poolName' failed to satisfy constraint: Member must "
            "not be null",
        ),
        (
            "cognito-idp",
            "create_user_pool",
            {"PoolName": "p", "Policies": {"PasswordPolicy": {"MinimumLength": ""}}},
            "SerializationException",
            "The request could not be read as its operation's input",
        ),
        (
            "sts",
            "assume_role",
            {"RoleSessionName": "session"},
            "ValidationError",
            "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must "
            "not be null",
        ),
        (
            "ec2",
            "describe_instances",
            {"NextToken": "nonsense"},
            "InvalidParameterValue",
            "The request could not be carried out with this input (ValueError: 'nonsense' is not in list)",
        ),
        (
            "ec2",
            "create_tags",
            {"Resources": ["vpc-1"], "Tags": [{"Key": "a\x01", "Value": "b"}]},
            "InvalidParameterValue",
            None,
        ),
    ],
)
def test_input_of_another_shape_is_refused(
    running: Lab, service: str, operation: str, parameters: dict[str, Any], code: str, message: str | None
) -> None:
    reported = refusal(getattr(running.client(service), operation), **parameters)
    assert reported[0] == code
    assert message is None or reported[1] == message


def _post(url: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("body", [b"", b"Action=DescribeLoadBalancers", b"\xff\xfe\x00", b"{" * 1000])
def test_unsigned_nonsense_is_refused_without_html(running: Lab, body: bytes) -> None:
    status, answer = _post(running.api.url, body)
    assert status == 403
    assert b"MissingAuthenticationToken" in answer
    assert b"<html" not in answer.lower()


def test_a_signature_that_does_not_parse(running: Lab) -> None:
    status, answer = _post(running.api.url, b"x", Authorization="AWS4-HMAC-SHA256 Credential=a/b")
    assert (status, b"IncompleteSignature" in answer) == (400, True)


def test_a_body_without_end_is_cut_off(running: Lab) -> None:
    status, _ = _post(running.api.url, b"x" * (5 * 1024 * 1024))
    assert status == 413


def test_an_internal_error_is_answered_in_the_services_protocol(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from lockgate.embedded.aws.elbv2.service import ElasticLoadBalancing

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(ElasticLoadBalancing, "answer", broken)
    code, message = refusal(running.client("elbv2").describe_load_balancers)
    assert (code, "bug" in message) == ("InternalFailure", False)


def test_changes_are_notified_and_reads_are_not(running: Lab) -> None:
    async def listen(service: str) -> tuple[frozenset[str], frozenset[str]]:
        changes, others = running.api.changes(), running.api.changes()
        client = running.client("route53")
        await asyncio.to_thread(client.list_hosted_zones)
        await asyncio.to_thread(refusal, client.delete_hosted_zone, Id="Z0")
        await asyncio.to_thread(client.create_hosted_zone, Name=f"{service}.example", CallerReference=service)
        return await anext(changes), await anext(others)

    assert running.run(listen("notified")) == (frozenset({"route53"}), frozenset({"route53"}))


def test_a_change_of_ELBv2_names_its_resource_if_known(running: Lab) -> None:
    vpc, subnets, _ = running.run(running.api.default_vpc())
    client = running.client("elbv2")
    done = client.create_load_balancer(Name="notified", Subnets=list(subnets[:2]))
    balancer = done["LoadBalancers"][0]["LoadBalancerArn"]

    async def reported(operation: str, **parameters: Any) -> tuple[Any, frozenset[str]]:
        changes = running.api.changes()
        answer = await asyncio.to_thread(getattr(client, operation), **parameters)
        return answer, await anext(changes)

    def after(operation: str, **parameters: Any) -> tuple[Any, frozenset[str]]:
        return running.run(reported(operation, **parameters))

    made, changed = after("create_target_group", Name="notified", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
    group = made["TargetGroups"][0]["TargetGroupArn"]
    assert changed == {f"elbv2:{group}"}
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    made, changed = after("create_listener", LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
    assert changed == {f"elbv2:{balancer}"}
    listener = made["Listeners"][0]["ListenerArn"]
    matching = [{"Field": "path-pattern", "Values": ["/a"]}]
    made, changed = after("create_rule", ListenerArn=listener, Priority=1, Conditions=matching, Actions=forward)
    assert changed == {f"elbv2:{balancer}"}
    rule = made["Rules"][0]["RuleArn"]
    _, changed = after("set_rule_priorities", RulePriorities=[{"RuleArn": rule, "Priority": 2}])
    assert changed == {f"elbv2:{balancer}"}
    _, changed = after("add_tags", ResourceArns=[rule, group], Tags=[{"Key": "a", "Value": "b"}])
    assert changed == {f"elbv2:{balancer}", f"elbv2:{group}"}
    _, changed = after("register_targets", TargetGroupArn=group, Targets=[{"Id": "172.31.0.5"}])
    assert changed == {f"elbv2:{group}"}
    _, changed = after("delete_load_balancer", LoadBalancerArn=balancer)
    assert changed == {f"elbv2:{balancer}"}


def test_a_change_of_a_trust_store_may_concern_any_load_balancer() -> None:
    store, group = (
        f"arn:aws:elasticloadbalancing:us-east-1:1:{path}" for path in ("truststore/a/b", "targetgroup/c/d")
    )
    assert touched(Call("elbv2", "ModifyTrustStore", "us-east-1", {"TrustStoreArn": store}), {}) == frozenset()
    tags = {"ResourceArns": [store, group]}
    assert touched(Call("elbv2", "AddTags", "us-east-1", tags), {}) == frozenset()


def test_subnets_and_security_groups_have_the_ids_and_names_of_the_settings(running: Lab) -> None:
    api, ec2 = running.api, running.client("ec2")
    vpc, own, zones = running.run(api.default_vpc())
    for _ in range(2):  # what exists stays as it is
        running.run(api.create_subnet("subnet-0a1b2c3d4e5f60718", {}, 0))
        running.run(api.create_subnet("", {"Name": "private-b"}, 1))
        running.run(api.create_security_group("sg-0123456789abcdef0", ""))
        running.run(api.create_security_group("", "edge"))
        running.run(api.allocate_elastic_ip("eipalloc-0123456789abcdef0"))
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    added = [each for each in subnets if each["SubnetId"] not in own]
    assert {(each["AvailabilityZone"], each["CidrBlock"]) for each in added} == {
        (zones[0], "172.31.255.0/24"),
        (zones[1], "172.31.254.0/24"),
    }
    [by_id] = ec2.describe_subnets(SubnetIds=["subnet-0a1b2c3d4e5f60718"])["Subnets"]
    [by_name] = ec2.describe_subnets(Filters=[{"Name": "tag:Name", "Values": ["private-b"]}])["Subnets"]
    assert {each["SubnetId"] for each in added} == {by_id["SubnetId"], by_name["SubnetId"]}
    [group] = ec2.describe_security_groups(GroupIds=["sg-0123456789abcdef0"])["SecurityGroups"]
    [named] = ec2.describe_security_groups(Filters=[{"Name": "tag:Name", "Values": ["edge"]}])["SecurityGroups"]
    assert (group["VpcId"], named["GroupName"]) == (vpc, "edge")
    assert [each["AllocationId"] for each in ec2.describe_addresses()["Addresses"]] == ["eipalloc-0123456789abcdef0"]
    balancer = running.client("elbv2").create_load_balancer(
        Name="supplied",
        Subnets=[by_id["SubnetId"], by_name["SubnetId"]],
        SecurityGroups=[group["GroupId"], named["GroupId"]],
    )["LoadBalancers"][0]
    assert [each["SubnetId"] for each in balancer["AvailabilityZones"]] == [by_id["SubnetId"], by_name["SubnetId"]]
    running.run(api.create_subnet("subnet-0c", {}, 0, ("10.0.1.9", "2600:1f18:1:2::9", "nonsense")))
    [around] = ec2.describe_subnets(SubnetIds=["subnet-0c"])["Subnets"]
    sixth = [each["Ipv6CidrBlock"] for each in around["Ipv6CidrBlockAssociationSet"]]
    assert (around["CidrBlock"], sixth) == ("10.0.1.0/24", ["2600:1f18:1:2::/64"])
    mapping = {"SubnetId": "subnet-0c", "PrivateIPv4Address": "10.0.1.9", "IPv6Address": "2600:1f18:1:2::9"}
    network = running.client("elbv2").create_load_balancer(
        Name="addressed", Type="network", Scheme="internal", IpAddressType="dualstack", SubnetMappings=[mapping]
    )["LoadBalancers"][0]
    (zone,) = network["AvailabilityZones"]
    assert zone["LoadBalancerAddresses"] == [{name: mapping[name] for name in ("PrivateIPv4Address", "IPv6Address")}]
    running.client("elbv2").delete_load_balancer(LoadBalancerArn=network["LoadBalancerArn"])
    ec2.delete_subnet(SubnetId="subnet-0c")
    with pytest.raises(ValueError, match="availability zones"):
        running.run(api.create_subnet("subnet-0b", {}, 99))


def test_target_groups_and_trust_stores_have_the_arns_of_the_manifests(running: Lab) -> None:
    api, elbv2 = running.api, running.client("elbv2")
    vpc = running.run(api.default_vpc())[0]
    arn, store = (
        f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:{path}"
        for path in ("targetgroup/given/1", "truststore/given/2")
    )
    settings = {"Name": "given", "TargetType": "ip", "Protocol": "HTTP", "Port": 80, "VpcId": vpc}
    for _ in range(2):  # what exists stays as it is
        running.run(api.create_target_group(settings, arn))
        running.run(api.create_target_group({**settings, "Name": "named"}, ""))
        running.run(api.create_trust_store("given", b"a certificate", store))
        running.run(api.create_trust_store("named", b"a certificate", ""))
    groups = elbv2.describe_target_groups(Names=["given", "named"])["TargetGroups"]
    stores = elbv2.describe_trust_stores(Names=["given", "named"])["TrustStores"]
    assert [each["TargetGroupArn"] for each in groups if each["TargetGroupName"] == "given"] == [arn]
    assert [each["TrustStoreArn"] for each in stores if each["Name"] == "given"] == [store]
    assert (len(groups), len(stores)) == (2, 2)
    assert running.run(api.trust_store(store)) == (b"a certificate", ())
    with pytest.raises(ValueError, match="hyphen"):
        running.run(api.create_target_group({**settings, "Name": "-"}, ""))


def test_subnets_with_ipv6_addresses(running: Lab) -> None:
    api, ec2 = running.api, running.client("ec2")
    running.run(api.associate_ipv6_blocks())
    running.run(api.create_subnet("subnet-0a1b2c3d4e5f60719", {}, 0))
    before = ec2.describe_subnets(SubnetIds=list(running.run(api.default_vpc())[1]))["Subnets"]
    running.run(api.associate_ipv6_blocks())
    vpc = ec2.describe_vpcs(VpcIds=[running.run(api.default_vpc())[0]])["Vpcs"][0]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    blocks = [ip_network(each["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]) for each in subnets]
    assert len(set(blocks)) == len(subnets)
    [whole] = vpc["Ipv6CidrBlockAssociationSet"]
    assert all(block.prefixlen == 64 and block.overlaps(ip_network(whole["Ipv6CidrBlock"])) for block in blocks)
    assert all(each in subnets for each in before)


def test_the_default_vpc_has_the_tags_that_eks_needs(running: Lab) -> None:
    vpc, subnets, zones = running.run(running.api.default_vpc())
    ec2 = running.client("ec2")
    found = ec2.describe_subnets(
        Filters=[{"Name": "tag:kubernetes.io/role/elb", "Values": ["1"]}, {"Name": "vpc-id", "Values": [vpc]}]
    )["Subnets"]
    assert {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in found} == dict(
        zip(subnets, zones, strict=True)
    )


def test_the_node_is_an_instance(running: Lab) -> None:
    _, _, zones = running.run(running.api.default_vpc())
    identity = "i-0fedcba9876543210"
    for _ in range(2):
        running.run(running.api.create_instance(identity, "172.31.9.9", zones[0]))
    (reservation,) = running.client("ec2").describe_instances(InstanceIds=[identity])["Reservations"]
    (instance,) = reservation["Instances"]
    assert (instance["PrivateIpAddress"], instance["State"]["Name"]) == ("172.31.9.9", "running")
    assert instance["Placement"]["AvailabilityZone"] == zones[0]


def test_ids_are_the_same_in_the_next_edge(running: Lab) -> None:
    before = running.run(running.api.default_vpc())
    script = (
        "import asyncio, json\n"
        "from lockgate.embedded.aws import AwsApi\n"
        "async def main():\n"
        f"    api = AwsApi({ACCOUNT!r}, {REGION!r}, access_key_id='a', secret_access_key='b')\n"
        "    await api.start()\n"
        "    print(json.dumps(await api.default_vpc()))\n"
        "    await api.stop()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    vpc, subnets, zones = json.loads(done.stdout)
    assert (vpc, tuple(subnets), tuple(zones)) == before


def _aws(url: str, *arguments: str) -> Any:
    environment = os.environ | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    program = Path(sys.executable).with_name("aws")
    done = subprocess.run(
        [program, "--output", "json", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.mark.skipif(not Path(sys.executable).with_name("aws").exists(), reason="the aws command is not installed")
def test_the_official_command_line_client(running: Lab) -> None:
    url = running.api.url
    _, subnets, _ = running.run(running.api.default_vpc())
    made = _aws(url, "elbv2", "create-load-balancer", "--name", "cli", "--subnets", subnets[0], subnets[1])
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    _aws(url, "elbv2", "wait", "load-balancer-available", "--load-balancer-arns", arn)
    listener = _aws(
        url,
        *("elbv2", "create-listener", "--load-balancer-arn", arn, "--protocol", "HTTP", "--port", "80"),
        *("--default-actions", "Type=fixed-response,FixedResponseConfig={StatusCode=404}"),
    )
    assert listener["Listeners"][0]["Port"] == 80
    assert _aws(url, "sts", "get-caller-identity")["Account"] == ACCOUNT
    assert "HostedZones" in _aws(url, "route53", "list-hosted-zones")
    _aws(url, "elbv2", "delete-load-balancer", "--load-balancer-arn", arn)


def test_instance_types_are_loaded_on_demand(running: Lab) -> None:
    ec2 = running.client("ec2")
    found = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["m5.large"]}]
    )["InstanceTypeOfferings"]
    assert {(each["InstanceType"], each["LocationType"]) for each in found} == {("m5.large", "availability-zone")}
    assert {each["Location"] for each in found} >= {f"{REGION}a"}
    (large,) = ec2.describe_instance_types(InstanceTypes=["m5.large"])["InstanceTypes"]
    assert large["VCpuInfo"]["DefaultVCpus"] == 2
    assert (
        len(
            [each for page in ec2.get_paginator("describe_instance_types").paginate() for each in page["InstanceTypes"]]
        )
        > 500
    )
