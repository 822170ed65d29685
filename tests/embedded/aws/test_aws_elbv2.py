"""ELBv2 through boto3: what it refuses, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from zlib import crc32

import pytest
import yaml
from aws_lab import Lab, certificate, lab, refusal, revocation_list

from lockgate.embedded.aws.elbv2.service import OPERATIONS

TABLE = yaml.safe_load((Path(__file__).parents[2] / "cases/aws/elbv2_refusals.yaml").read_text())
INSTANCE = "i-0123456789abcdef0"
FIXED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture(scope="module")
def elbv2(running: Lab) -> Any:
    return running.client("elbv2")


@pytest.fixture(scope="module")
def vpc(running: Lab) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    return running.run(running.api.default_vpc())


@pytest.fixture(scope="module")
def standing(running: Lab, elbv2: Any, vpc: Any) -> dict[str, Any]:
    """The load balancers that the table speaks of, by the names it gives them."""
    vpc_id, subnets, zones = vpc
    running.run(running.api.create_instance(INSTANCE, "127.0.0.1", zones[0]))
    arn = "arn:aws:acm:ap-northeast-2:123456789012:certificate/{}"
    names = {name: arn.format(name) for name in ("cert", "cert2", "pending")}
    for name, certificate_arn in names.items():
        running.run(running.api.create_certificate(certificate_arn, ("tidewater.example",)))
        if name != "pending":
            running.run(running.api.issue_certificate(certificate_arn, *certificate("tidewater.example")))
    plain = {"Protocol": "HTTP", "Port": 80, "VpcId": vpc_id}

    def group(name: str, **settings: Any) -> str:
        made = elbv2.create_target_group(Name=name, **{**plain, **settings})
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def balancer(name: str, **settings: Any) -> str:
        made = elbv2.create_load_balancer(Name=name, Subnets=list(subnets[:2]), **settings)
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    names |= {
        "tg": group("in-use"),
        "tg2": group("addresses", TargetType="ip"),
        "sticky": group("sticky"),
        "grpc": group("grpc", ProtocolVersion="GRPC"),
        "other_tg": group("others"),
        "lb": balancer("standing"),
        "other": balancer("other"),
        "protected": balancer("protected"),
        "nlb": balancer("passing", Type="network"),
        "tcp_tg": group("passed", Protocol="TCP", TargetType="ip"),
        "alb_tg": group("in-front", Protocol="TCP", TargetType="alb"),
        "alb_tg2": group("in-front-2", Protocol="TCP", TargetType="alb"),
        "eip": running.client("ec2").allocate_address(Domain="vpc")["AllocationId"],
        "vpc": vpc_id,
        "subnet_a": subnets[0],
        "subnet_b": subnets[1],
    }
    elbv2.modify_target_group_attributes(
        TargetGroupArn=names["sticky"], Attributes=[{"Key": "stickiness.enabled", "Value": "true"}]
    )
    elbv2.modify_load_balancer_attributes(
        LoadBalancerArn=names["protected"], Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}]
    )

    def listener(balancer: str, port: int, actions: Any, **settings: Any) -> str:
        made = elbv2.create_listener(
            LoadBalancerArn=balancer,
            Port=port,
            DefaultActions=actions,
            **{"Protocol": "HTTP", **settings},
        )
        return str(made["Listeners"][0]["ListenerArn"])

    names["http"] = listener(names["lb"], 80, FIXED)
    names["https"] = listener(
        names["lb"], 443, FIXED, Protocol="HTTPS", Certificates=[{"CertificateArn": names["cert"]}]
    )
    elbv2.register_targets(TargetGroupArn=names["alb_tg"], Targets=[{"Id": names["lb"]}])
    forward = [{"Type": "forward", "TargetGroupArn": names["tcp_tg"]}]
    names["tcp"] = listener(names["nlb"], 80, forward, Protocol="TCP")
    listener(names["other"], 80, [{"Type": "forward", "TargetGroupArn": names["other_tg"]}])
    for priority, actions in ((1, [{"Type": "forward", "TargetGroupArn": names["tg"]}]), (2, FIXED)):
        rule = elbv2.create_rule(
            ListenerArn=names["https"],
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "Values": [f"/{priority}"]}],
            Actions=actions,
        )["Rules"][0]
        names[f"rule{priority}"] = rule["RuleArn"]
    rules = elbv2.describe_rules(ListenerArn=names["https"])["Rules"]
    names["default_rule"] = rules[-1]["RuleArn"]
    return names | {f"no_{name}": f"{value}0" for name, value in names.items()}


def _filled(value: Any, names: dict[str, Any]) -> Any:
    match value:
        case str() if value.startswith("$") and value[1:] in TABLE["values"]:
            return TABLE["values"][value[1:]]
        case str():
            return Template(value).safe_substitute(names)
        case list():
            return [_filled(item, names) for item in value]
        case dict():
            return {key: _filled(item, names) for key, item in value.items()}
        case _:
            return value


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: f"{case['call']}: {case['message']}"[:90])
def test_refused(elbv2: Any, standing: dict[str, Any], case: dict[str, Any]) -> None:
    code, message = refusal(getattr(elbv2, case["call"]), **_filled(case["with"], standing))
    assert (code, message) == (case["code"], _filled(case["message"], standing))


@pytest.fixture
def fresh(elbv2: Any, vpc: Any, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A load balancer and a target group of this test's own."""
    number = crc32(request.node.name.encode())
    balancer = elbv2.create_load_balancer(Name=f"own-{number}", Subnets=list(vpc[1][:2]))["LoadBalancers"][0]
    group = elbv2.create_target_group(Name=f"own-{number}", Protocol="HTTP", Port=80, VpcId=vpc[0])
    yield {
        "balancer": balancer,
        "lb": balancer["LoadBalancerArn"],
        "tg": group["TargetGroups"][0]["TargetGroupArn"],
        "name": f"own-{number}",
    }
    elbv2.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    elbv2.delete_target_group(TargetGroupArn=group["TargetGroups"][0]["TargetGroupArn"])


def test_a_load_balancer_is_provisioned_then_active(elbv2: Any, fresh: dict[str, Any]) -> None:
    assert fresh["balancer"]["State"] == {"Code": "provisioning"}
    elbv2.get_waiter("load_balancer_available").wait(
        LoadBalancerArns=[fresh["lb"]], WaiterConfig={"Delay": 1, "MaxAttempts": 1}
    )


@pytest.fixture
def passing(running: Lab, elbv2: Any, vpc: Any, fresh: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A network load balancer of this test's own, at an Elastic IP, whose port 8080 leads to the fresh one's 80."""
    allocation = running.client("ec2").allocate_address(Domain="vpc")
    mappings = [{"SubnetId": vpc[1][0], "AllocationId": allocation["AllocationId"]}, {"SubnetId": vpc[1][1]}]
    settings = {"Name": f"{fresh['name']}-nlb", "Type": "network", "SubnetMappings": mappings}
    made = elbv2.create_load_balancer(**settings)
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    elbv2.create_listener(LoadBalancerArn=fresh["lb"], Port=80, Protocol="HTTP", DefaultActions=FIXED)
    group = elbv2.create_target_group(
        Name=f"{fresh['name']}-alb", Protocol="TCP", Port=8080, VpcId=vpc[0], TargetType="alb"
    )["TargetGroups"][0]
    elbv2.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": fresh["lb"], "Port": 80}])
    listener = elbv2.create_listener(
        LoadBalancerArn=arn, Port=8080, Protocol="TCP",
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    )["Listeners"][0]  # fmt: skip
    yield {
        **fresh,
        "nlb": arn,
        "settings": settings,
        "address": allocation["PublicIp"],
        "group": group,
        "listener": listener,
    }
    elbv2.delete_load_balancer(LoadBalancerArn=arn)
    elbv2.deregister_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": fresh["lb"], "Port": 80}])
    elbv2.delete_target_group(TargetGroupArn=group["TargetGroupArn"])


def test_the_description_of_a_network_load_balancer(elbv2: Any, passing: dict[str, Any]) -> None:
    [balancer] = elbv2.describe_load_balancers(LoadBalancerArns=[passing["nlb"]])["LoadBalancers"]
    path, identity = passing["nlb"].rsplit("/", 1)
    assert path.endswith(f":loadbalancer/net/{passing['name']}-nlb")
    assert balancer["DNSName"] == f"{passing['name']}-nlb-{identity}.elb.ap-northeast-2.amazonaws.com"
    assert (balancer["Type"], balancer["CanonicalHostedZoneId"]) == ("network", "ZIBE1TIR4HY56")
    assert "SecurityGroups" not in balancer
    addresses = [zone["LoadBalancerAddresses"] for zone in balancer["AvailabilityZones"]]
    assert [address["IpAddress"] for address in addresses[0]] == [passing["address"]]
    assert addresses[1] == []
    attributes = elbv2.describe_load_balancer_attributes(LoadBalancerArn=passing["nlb"])["Attributes"]
    assert {"Key": "load_balancing.cross_zone.enabled", "Value": "false"} in attributes
    arn = passing["listener"]["ListenerArn"]
    assert elbv2.describe_listener_attributes(ListenerArn=arn)["Attributes"] == [
        {"Key": "tcp.idle_timeout.seconds", "Value": "350"}
    ]


def test_creating_a_network_load_balancer_again_succeeds(elbv2: Any, passing: dict[str, Any]) -> None:
    [again] = elbv2.create_load_balancer(**passing["settings"])["LoadBalancers"]
    assert again["LoadBalancerArn"] == passing["nlb"]
    other = passing["settings"] | {"Name": "another"}
    assert refusal(elbv2.create_load_balancer, **other)[0] == "ResourceInUse"
    mappings = passing["settings"]["SubnetMappings"][:1]
    answer = elbv2.set_subnets(LoadBalancerArn=passing["nlb"], SubnetMappings=mappings)
    [zone] = answer["AvailabilityZones"]
    assert [address["IpAddress"] for address in zone["LoadBalancerAddresses"]] == [passing["address"]]


def test_an_application_load_balancer_is_a_target(elbv2: Any, passing: dict[str, Any]) -> None:
    group = passing["group"]
    assert (group["HealthCheckProtocol"], group["HealthCheckPath"], group["Matcher"]) == (
        "HTTP",
        "/",
        {"HttpCode": "200-399"},
    )
    assert "ProtocolVersion" not in group
    [health] = elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    assert health["Target"] == {"Id": passing["lb"], "Port": 80}
    assert health["TargetHealth"]["State"] == "initial"


def test_one_that_drains_makes_room_for_another(elbv2: Any, passing: dict[str, Any], standing: dict[str, Any]) -> None:
    arn = passing["group"]["TargetGroupArn"]
    elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": passing["lb"], "Port": 80}])
    elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": standing["other"], "Port": 80}])
    found = elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    states = {item["Target"]["Id"]: item["TargetHealth"]["State"] for item in found}
    assert states == {passing["lb"]: "draining", standing["other"]: "initial"}
    elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": standing["other"], "Port": 80}])


def test_a_health_check_has_the_fields_of_its_protocol(elbv2: Any, vpc: Any) -> None:
    made = elbv2.create_target_group(Name="by-connection", Protocol="TCP", Port=80, VpcId=vpc[0])["TargetGroups"][0]
    assert (made["HealthCheckProtocol"], made["HealthCheckTimeoutSeconds"]) == ("TCP", 10)
    assert "HealthCheckPath" not in made and "Matcher" not in made
    arn = made["TargetGroupArn"]
    http = elbv2.modify_target_group(TargetGroupArn=arn, HealthCheckProtocol="HTTP", HealthCheckPath="/live")
    assert (http["TargetGroups"][0]["HealthCheckPath"], http["TargetGroups"][0]["Matcher"]) == (
        "/live",
        {"HttpCode": "200-399"},
    )
    tcp = elbv2.modify_target_group(TargetGroupArn=arn, HealthCheckProtocol="TCP")["TargetGroups"][0]
    assert "HealthCheckPath" not in tcp and "Matcher" not in tcp
    elbv2.delete_target_group(TargetGroupArn=arn)


def test_its_dns_name_and_hosted_zone_have_the_form_of_aws(elbv2: Any, fresh: dict[str, Any]) -> None:
    balancer = fresh["balancer"]
    name, _, rest = balancer["DNSName"].partition(".")
    assert rest == "ap-northeast-2.elb.amazonaws.com"
    prefix, _, digits = name.rpartition("-")
    assert prefix == fresh["name"]
    assert digits.isdigit()
    assert len(digits) == 10
    assert balancer["CanonicalHostedZoneId"] == "ZWKZPGTI48KDX"


def test_the_dns_name_of_an_internal_load_balancer(elbv2: Any, vpc: Any) -> None:
    made = elbv2.create_load_balancer(Name="inside", Subnets=list(vpc[1][:2]), Scheme="internal")["LoadBalancers"][0]
    assert made["DNSName"].startswith("internal-inside-")
    elbv2.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])


def test_creating_an_equal_resource_returns_the_existing_one(elbv2: Any, vpc: Any, fresh: dict[str, Any]) -> None:
    again = elbv2.create_load_balancer(Name=fresh["name"], Subnets=list(reversed(vpc[1][:2])))["LoadBalancers"][0]
    assert again["LoadBalancerArn"] == fresh["lb"]
    group = elbv2.create_target_group(Name=fresh["name"], Protocol="HTTP", Port=80, VpcId=vpc[0])
    assert group["TargetGroups"][0]["TargetGroupArn"] == fresh["tg"]


def test_deleting_a_missing_resource_succeeds(elbv2: Any, fresh: dict[str, Any]) -> None:
    elbv2.delete_load_balancer(LoadBalancerArn=fresh["lb"])
    elbv2.delete_load_balancer(LoadBalancerArn=fresh["lb"])
    assert elbv2.describe_target_groups(TargetGroupArns=[fresh["tg"]])["TargetGroups"][0]["LoadBalancerArns"] == []


def test_rules_swap_their_priorities_in_one_call(elbv2: Any, fresh: dict[str, Any]) -> None:
    listener = elbv2.create_listener(LoadBalancerArn=fresh["lb"], Protocol="HTTP", Port=80, DefaultActions=FIXED)
    arn = listener["Listeners"][0]["ListenerArn"]
    one, two = (
        elbv2.create_rule(
            ListenerArn=arn,
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "Values": ["/"]}],
            Actions=FIXED,
        )["Rules"][0]["RuleArn"]
        for priority in (10, 20)
    )
    elbv2.set_rule_priorities(RulePriorities=[{"RuleArn": one, "Priority": 20}, {"RuleArn": two, "Priority": 10}])
    rules = elbv2.describe_rules(ListenerArn=arn)["Rules"]
    assert [(rule["RuleArn"], rule["Priority"]) for rule in rules[:2]] == [(two, "10"), (one, "20")]
    assert rules[2]["Priority"] == "default"


def test_an_action_is_returned_with_the_defaults_of_aws(elbv2: Any, fresh: dict[str, Any]) -> None:
    actions = [{"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "StatusCode": "HTTP_301"}}]
    listener = elbv2.create_listener(LoadBalancerArn=fresh["lb"], Protocol="HTTP", Port=80, DefaultActions=actions)
    assert listener["Listeners"][0]["DefaultActions"][0]["RedirectConfig"] == {
        "Protocol": "HTTPS",
        "Host": "#{host}",
        "Port": "#{port}",
        "Path": "/#{path}",
        "Query": "#{query}",
        "StatusCode": "HTTP_301",
    }
    arn = listener["Listeners"][0]["ListenerArn"]
    rule = elbv2.create_rule(
        ListenerArn=arn,
        Priority=1,
        Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["a.example"]}}],
        Actions=[{"Type": "forward", "TargetGroupArn": fresh["tg"]}],
        Transforms=[{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/a", "Replace": "/b"}]}}],
    )["Rules"][0]
    assert rule["Conditions"] == [
        {"Field": "host-header", "Values": ["a.example"], "HostHeaderConfig": {"Values": ["a.example"]}}
    ]
    assert rule["Actions"][0]["ForwardConfig"] == {
        "TargetGroups": [{"TargetGroupArn": fresh["tg"], "Weight": 1}],
        "TargetGroupStickinessConfig": {"Enabled": False},
    }
    assert rule["Transforms"][0]["UrlRewriteConfig"]["Rewrites"] == [{"Regex": "^/a", "Replace": "/b"}]
    reset = elbv2.modify_rule(RuleArn=rule["RuleArn"], ResetTransforms=True)["Rules"][0]
    assert reset["Transforms"] == []


def test_a_client_secret_is_accepted_kept_and_never_returned(
    running: Lab, elbv2: Any, standing: dict[str, Any]
) -> None:
    oidc = {
        "Issuer": "https://id.example",
        "AuthorizationEndpoint": "https://id.example/a",
        "TokenEndpoint": "https://id.example/t",
        "UserInfoEndpoint": "https://id.example/u",
        "ClientId": "edge",
    }

    def actions(**more: Any) -> list[dict[str, Any]]:
        return [
            {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": oidc | more},
            {"Type": "forward", "Order": 2, "TargetGroupArn": standing["tg"]},
        ]

    rule = elbv2.create_rule(
        ListenerArn=standing["https"],
        Priority=77,
        Conditions=[{"Field": "path-pattern", "Values": ["/login"]}],
        Actions=actions(ClientSecret="hush"),
    )["Rules"][0]
    shown = rule["Actions"][0]["AuthenticateOidcConfig"]
    assert "ClientSecret" not in shown
    assert (shown["Scope"], shown["SessionTimeout"]) == ("openid", 604800)
    elbv2.modify_rule(RuleArn=rule["RuleArn"], Actions=actions(UseExistingClientSecret=True, Scope="openid email"))
    assert running.run(running.api.client_secret(rule["RuleArn"])) == "hush"
    elbv2.delete_rule(RuleArn=rule["RuleArn"])


def test_targets_are_identified_by_id_and_port(running: Lab, elbv2: Any, standing: Any, fresh: dict[str, Any]) -> None:
    tg = fresh["tg"]
    elbv2.register_targets(
        TargetGroupArn=tg, Targets=[{"Id": INSTANCE, "Port": 30001}, {"Id": INSTANCE, "Port": 30002}]
    )

    def health() -> dict[int, str]:
        found = elbv2.describe_target_health(TargetGroupArn=tg)["TargetHealthDescriptions"]
        return {item["Target"]["Port"]: item["TargetHealth"]["State"] for item in found}

    assert health() == {30001: "unused", 30002: "unused"}
    elbv2.create_listener(
        LoadBalancerArn=fresh["lb"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": tg}],
    )
    assert health() == {30001: "initial", 30002: "initial"}
    report = running.api.report_target_health
    running.run(report(tg, INSTANCE, 30001, "healthy"))
    running.run(report(tg, INSTANCE, 30002, "unhealthy", "Target.Timeout", "Request timed out"))
    assert health() == {30001: "healthy", 30002: "unhealthy"}
    asked = elbv2.describe_target_health(TargetGroupArn=tg, Targets=[{"Id": INSTANCE, "Port": 30002}, {"Id": INSTANCE}])
    by_port = {item["Target"]["Port"]: item for item in asked["TargetHealthDescriptions"]}
    assert by_port[30002]["HealthCheckPort"] == "30002"
    assert by_port[30002]["TargetHealth"]["Reason"] == "Target.Timeout"
    assert by_port[80]["TargetHealth"]["Reason"] == "Target.NotRegistered"
    elbv2.deregister_targets(TargetGroupArn=tg, Targets=[{"Id": INSTANCE, "Port": 30001}])
    assert health() == {30001: "draining", 30002: "unhealthy"}
    running.run(report(tg, INSTANCE, 30001, "unused", "Target.NotRegistered"))
    assert health() == {30002: "unhealthy"}


def test_pages(elbv2: Any, standing: dict[str, Any]) -> None:
    whole = elbv2.describe_target_groups()["TargetGroups"]
    pages = list(elbv2.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 2}))
    assert len(pages) == -(-len(whole) // 2)
    assert [group["TargetGroupArn"] for page in pages for group in page["TargetGroups"]] == [
        group["TargetGroupArn"] for group in whole
    ]


def test_tags_of_every_kind(elbv2: Any, standing: dict[str, Any]) -> None:
    arns = [standing[name] for name in ("lb", "https", "rule1", "default_rule", "tg")]
    elbv2.add_tags(ResourceArns=arns, Tags=[{"Key": "team", "Value": "edge"}])
    found = elbv2.describe_tags(ResourceArns=arns)["TagDescriptions"]
    assert [(tags["ResourceArn"], tags["Tags"]) for tags in found] == [
        (arn, [{"Key": "team", "Value": "edge"}]) for arn in arns
    ]
    elbv2.remove_tags(ResourceArns=arns, TagKeys=["team"])
    assert all(tags["Tags"] == [] for tags in elbv2.describe_tags(ResourceArns=arns)["TagDescriptions"])


def test_certificates_of_a_listener(running: Lab, elbv2: Any, standing: dict[str, Any]) -> None:
    listener, cert, cert2 = standing["https"], standing["cert"], standing["cert2"]
    for _ in range(2):  # adding one twice is adding it once
        elbv2.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": cert2}])
    found = elbv2.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    assert [(item["CertificateArn"], item["IsDefault"]) for item in found] == [(cert, True), (cert2, False)]
    acm = running.client("acm")
    assert acm.describe_certificate(CertificateArn=cert2)["Certificate"]["InUseBy"] == [standing["lb"]]
    assert refusal(acm.delete_certificate, CertificateArn=cert2)[0] == "ResourceInUseException"
    elbv2.remove_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": cert2}])
    assert acm.describe_certificate(CertificateArn=cert2)["Certificate"]["InUseBy"] == []


def test_the_default_certificate_may_be_among_the_others(elbv2: Any, standing: dict[str, Any]) -> None:
    listener, cert, cert2 = standing["https"], standing["cert"], standing["cert2"]
    both, other = [{"CertificateArn": cert}], [{"CertificateArn": cert2}]

    def shown() -> list[tuple[str, bool]]:
        found = elbv2.describe_listener_certificates(ListenerArn=listener)["Certificates"]
        return [(item["CertificateArn"], item["IsDefault"]) for item in found]

    elbv2.add_listener_certificates(ListenerArn=listener, Certificates=both)
    assert shown() == [(cert, True), (cert, False)]
    elbv2.modify_listener(ListenerArn=listener, Certificates=other)
    assert shown() == [(cert2, True), (cert, False)]
    elbv2.modify_listener(ListenerArn=listener, Certificates=both)
    elbv2.remove_listener_certificates(ListenerArn=listener, Certificates=both)
    assert shown() == [(cert, True)]
    assert refusal(elbv2.remove_listener_certificates, ListenerArn=listener, Certificates=both) == (
        "OperationNotPermitted",
        "The default certificate of a listener cannot be removed",
    )


def test_the_limit_of_rules(elbv2: Any, fresh: dict[str, Any]) -> None:
    listener = elbv2.create_listener(LoadBalancerArn=fresh["lb"], Protocol="HTTP", Port=80, DefaultActions=FIXED)
    arn = listener["Listeners"][0]["ListenerArn"]
    parameters = {"Conditions": [{"Field": "path-pattern", "Values": ["/"]}], "Actions": FIXED, "ListenerArn": arn}
    for priority in range(1, 101):
        elbv2.create_rule(Priority=priority, **parameters)
    assert refusal(elbv2.create_rule, Priority=101, **parameters)[0] == "TooManyRules"


def test_capacity_and_policies(elbv2: Any, standing: dict[str, Any]) -> None:
    elbv2.modify_capacity_reservation(
        LoadBalancerArn=standing["other"], MinimumLoadBalancerCapacity={"CapacityUnits": 200}
    )
    found = elbv2.describe_capacity_reservation(LoadBalancerArn=standing["other"])
    assert found["MinimumLoadBalancerCapacity"] == {"CapacityUnits": 200}
    (policy,) = elbv2.describe_ssl_policies(Names=["ELBSecurityPolicy-TLS13-1-2-Res-2021-06"])["SslPolicies"]
    assert policy["SslProtocols"] == ["TLSv1.3", "TLSv1.2"]
    assert len(policy["Ciphers"]) == 7


def test_capacity_may_shrink_twice_a_day(elbv2: Any, fresh: dict[str, Any]) -> None:
    def reserve(units: int) -> dict[str, Any]:
        wanted = {"CapacityUnits": units}
        return dict(elbv2.modify_capacity_reservation(LoadBalancerArn=fresh["lb"], MinimumLoadBalancerCapacity=wanted))

    assert [reserve(units)["DecreaseRequestsRemaining"] for units in (400, 300, 300, 200, 500)] == [2, 1, 1, 0, 0]
    assert refusal(reserve, units=100)[0] == "CapacityDecreaseRequestLimitExceeded"
    reset = elbv2.modify_capacity_reservation(LoadBalancerArn=fresh["lb"], ResetCapacityReservation=True)
    assert "MinimumLoadBalancerCapacity" not in reset
    assert reserve(100)["MinimumLoadBalancerCapacity"] == {"CapacityUnits": 100}


def test_address_pools(elbv2: Any, fresh: dict[str, Any], vpc: Any) -> None:
    def pools() -> Any:
        return elbv2.describe_load_balancers(LoadBalancerArns=[fresh["lb"]])["LoadBalancers"][0].get("IpamPools")

    given = {"Ipv4IpamPoolId": "ipam-pool-1"}
    assert elbv2.modify_ip_pools(LoadBalancerArn=fresh["lb"], IpamPools=given)["IpamPools"] == given
    assert pools() == given
    elbv2.modify_ip_pools(LoadBalancerArn=fresh["lb"], RemoveIpamPools=["ipv4"])
    assert pools() is None
    made = elbv2.create_load_balancer(
        Name="outpost", Subnets=list(vpc[1][:2]), IpamPools=given, CustomerOwnedIpv4Pool="ipv4pool-coip-1"
    )["LoadBalancers"][0]
    assert (made["IpamPools"], made["CustomerOwnedIpv4Pool"]) == (given, "ipv4pool-coip-1")
    elbv2.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])


def test_an_empty_trust_store_arn_is_none(elbv2: Any, standing: dict[str, Any]) -> None:
    """The controller sends it with the mode passthrough."""
    given = {"Mode": "passthrough", "TrustStoreArn": ""}
    changed = elbv2.modify_listener(ListenerArn=standing["https"], MutualAuthentication=given)["Listeners"][0]
    assert changed["MutualAuthentication"] == {"Mode": "passthrough"}
    elbv2.modify_listener(ListenerArn=standing["https"], MutualAuthentication={"Mode": "off"})


def test_every_operation_of_the_model_is_answered(elbv2: Any) -> None:
    assert set(elbv2.meta.service_model.operation_names) == set(OPERATIONS)


def test_a_trust_stores_contents_are_lent_by_presigned_urls(running: Lab, elbv2: Any) -> None:
    s3 = running.client("s3")
    root, key = certificate("Root", ca=True)
    revoked = revocation_list(root, key, 7)
    s3.create_bucket(Bucket="lent", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
    s3.put_object(Bucket="lent", Key="ca.pem", Body=root.encode())
    s3.put_object(Bucket="lent", Key="ca.crl", Body=revoked)
    made = elbv2.create_trust_store(
        Name="lent", CaCertificatesBundleS3Bucket="lent", CaCertificatesBundleS3Key="ca.pem"
    )["TrustStores"][0]
    arn = made["TrustStoreArn"]
    elbv2.add_trust_store_revocations(
        TrustStoreArn=arn, RevocationContents=[{"S3Bucket": "lent", "S3Key": "ca.crl", "RevocationType": "CRL"}]
    )
    s3.delete_object(Bucket="lent", Key="ca.pem")  # the trust store keeps what it read
    bundle = elbv2.get_trust_store_ca_certificates_bundle(TrustStoreArn=arn)["Location"]
    assert urlopen(bundle).read() == root.encode()
    content = elbv2.get_trust_store_revocation_content(TrustStoreArn=arn, RevocationId=1)["Location"]
    assert urlopen(content).read() == revoked
    missing = refusal(elbv2.get_trust_store_revocation_content, TrustStoreArn=arn, RevocationId=2)
    assert missing == ("RevocationIdNotFound", "The revocation ID '2' does not exist")
    with pytest.raises(HTTPError) as changed:
        urlopen(bundle.replace("X-Amz-Expires=600", "X-Amz-Expires=601"))
    assert changed.value.code == 403
    assert "lent" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert not [bucket["Name"] for bucket in s3.list_buckets()["Buckets"] if bucket["Name"].startswith("elb-")]
    elbv2.delete_trust_store(TrustStoreArn=arn)


def test_a_trust_store_comes_out_of_s3_and_verifies_clients(running: Lab, elbv2: Any, standing: dict[str, Any]) -> None:
    s3 = running.client("s3")
    root, _ = certificate("Clients' Root", ca=True)
    leaf, _ = certificate("client.example")
    s3.create_bucket(Bucket="authorities", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
    for key, body in (("clients + more.pem", root), ("leaf.pem", leaf), ("bad.pem", "nonsense")):
        s3.put_object(Bucket="authorities", Key=key, Body=body.encode())

    def source(key: str) -> dict[str, str]:
        return {"CaCertificatesBundleS3Bucket": "authorities", "CaCertificatesBundleS3Key": key}

    for key in ("leaf.pem", "bad.pem"):
        assert refusal(elbv2.create_trust_store, Name="bad", **source(key))[0] == "InvalidCaCertificatesBundle"
    made = elbv2.create_trust_store(Name="clients", **source("clients + more.pem"))["TrustStores"][0]
    arn = made["TrustStoreArn"]
    assert (made["Status"], made["NumberOfCaCertificates"]) == ("CREATING", 1)
    assert elbv2.describe_trust_stores(Names=["clients"])["TrustStores"][0]["Status"] == "ACTIVE"
    assert running.run(running.api.trust_store(arn)) == (root.encode(), ())
    assert elbv2.get_resource_policy(ResourceArn=arn).get("Policy") is None
    elbv2.modify_listener(ListenerArn=standing["https"], MutualAuthentication={"Mode": "verify", "TrustStoreArn": arn})
    shown = elbv2.describe_listeners(ListenerArns=[standing["https"]])["Listeners"][0]["MutualAuthentication"]
    assert shown == {
        "Mode": "verify",
        "TrustStoreArn": arn,
        "IgnoreClientCertificateExpiry": False,
        "TrustStoreAssociationStatus": "active",
        "AdvertiseTrustStoreCaNames": "off",
    }
    (user,) = elbv2.describe_trust_store_associations(TrustStoreArn=arn)["TrustStoreAssociations"]
    assert user["ResourceArn"] == standing["https"]
    shared = {"TrustStoreArn": arn, "ResourceArn": standing["https"]}
    assert refusal(elbv2.delete_shared_trust_store_association, **shared)[0] == "DeleteAssociationSameAccount"
    shared["ResourceArn"] = standing["http"]
    assert refusal(elbv2.delete_shared_trust_store_association, **shared)[0] == "AssociationNotFound"
    assert refusal(elbv2.delete_trust_store, TrustStoreArn=arn)[0] == "TrustStoreInUse"
    elbv2.modify_listener(ListenerArn=standing["https"], MutualAuthentication={"Mode": "off"})
    elbv2.delete_trust_store(TrustStoreArn=arn)
    assert refusal(elbv2.describe_trust_stores, TrustStoreArns=[arn])[0] == "TrustStoreNotFound"
