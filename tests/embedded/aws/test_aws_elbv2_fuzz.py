"""Whatever is asked of ELBv2, the answer is its result or its refusal, readable by a client; a refusal changes nothing.

Parameters are made from botocore's shapes: of the right types, and within or just outside what the model allows; ARNs
are often those of what is there. They go over the wire's text both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lab import certificate, revocation_list
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.embedded.aws import protocol
from lockgate.embedded.aws.elbv2.service import OPERATIONS, ElasticLoadBalancing
from lockgate.embedded.aws.protocol import Call, HttpRequest, Refusal

ACCOUNT, REGION = "123456789012", "us-east-1"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/a"
FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
MODEL = protocol.model("elbv2")
ROOT = certificate("Clients' Root", ca=True)
REVOKED = revocation_list(*ROOT, 7)


class Around:
    """The rest of an account, as ELBv2 sees it."""

    def subnets(self) -> Mapping[str, tuple[str, str]]:
        return {
            "subnet-a": ("vpc-1", "us-east-1a"),
            "subnet-b": ("vpc-1", "us-east-1b"),
            "subnet-c": ("vpc-2", "us-east-1a"),
        }

    def security_groups(self) -> Mapping[str, tuple[str, str]]:
        return {"sg-a": ("vpc-1", "default"), "sg-b": ("vpc-2", "default")}

    def instances(self) -> Mapping[str, str]:
        return {"i-0123456789abcdef0": "running", "i-0123456789abcdef1": "stopped"}

    def vpcs(self) -> Mapping[str, tuple[str, ...]]:
        return {"vpc-1": ("10.0.0.0/16",), "vpc-2": ("10.1.0.0/16",)}

    def certificate(self, arn: str) -> str | None:
        return "issued" if arn == CERTIFICATE else None

    def object(self, bucket: str, key: str) -> bytes | None:
        return {"ca.pem": ROOT[0].encode(), "ca.crl": REVOKED, "nonsense": b"nonsense"}.get(key)

    def lend(self, key: str, content: bytes) -> str:
        return f"http://127.0.0.1/{key}"

    def subnet_blocks(self) -> Mapping[str, tuple[str, ...]]:
        return {"subnet-a": ("10.0.0.0/20", "fd00::/64"), "subnet-b": ("10.0.16.0/20",), "subnet-c": ("10.1.0.0/20",)}

    def is_endpoint(self, address: str, port: int) -> bool:
        return port == 80

    def elastic_addresses(self) -> Mapping[str, str]:
        return {"eipalloc-a": "203.0.113.7"}

    def user_pool_client_secret(self, arn: str, client: str) -> str:
        raise LookupError(f"User pool {arn} does not exist")


def standing() -> tuple[ElasticLoadBalancing, dict[str, list[str]]]:
    """A small account, and its ARNs by the name of the parameter that takes them."""
    elbv2 = ElasticLoadBalancing(ACCOUNT, REGION, Around())

    def make(operation: str, **parameters: Any) -> Any:
        [(_, [made])] = elbv2.answer(Call("elbv2", operation, REGION, parameters)).items()
        return made

    balancers = [
        make("CreateLoadBalancer", Name=name, Subnets=["subnet-a", "subnet-b"])["LoadBalancerArn"]
        for name in ("a", "b")
    ]
    network = {"Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1"}
    groups = [make("CreateTargetGroup", Name=name, **network)["TargetGroupArn"] for name in ("a", "b")]
    groups.append(make("CreateTargetGroup", Name="c", TargetType="ip", **network)["TargetGroupArn"])
    forward = {"Type": "forward", "TargetGroupArn": groups[0]}
    http = make("CreateListener", LoadBalancerArn=balancers[0], Protocol="HTTP", Port=80, DefaultActions=[forward])
    secure = make(
        "CreateListener",
        LoadBalancerArn=balancers[0],
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": CERTIFICATE}],
        DefaultActions=[FIXED],
    )
    listeners = [http["ListenerArn"], secure["ListenerArn"]]
    path = [{"Field": "path-pattern", "Values": ["/a"]}]
    rules = [
        make("CreateRule", ListenerArn=listeners[0], Priority=1, Conditions=path, Actions=[forward])["RuleArn"],
        make("CreateRule", ListenerArn=listeners[1], Priority=1, Conditions=path, Actions=[FIXED])["RuleArn"],
        elbv2.state.listeners[listeners[0]].default_rule,
    ]
    bundle = {"CaCertificatesBundleS3Bucket": "b", "CaCertificatesBundleS3Key": "ca.pem"}
    return elbv2, {
        "TrustStoreArn": [make("CreateTrustStore", Name="clients", **bundle)["TrustStoreArn"]],
        "LoadBalancerArn": balancers,
        "ListenerArn": listeners,
        "RuleArn": rules,
        "TargetGroupArn": groups,
        "ResourceArn": [*balancers, *listeners, *rules, *groups],
        "CertificateArn": [CERTIFICATE, CERTIFICATE + "0"],
    }


KNOWN = {
    "Subnets": ["subnet-a", "subnet-b", "subnet-c", "subnet-d"],
    "SubnetId": ["subnet-a", "subnet-b", "subnet-c", "subnet-d"],
    "SecurityGroups": ["sg-a", "sg-b", "sg-c"],
    "VpcId": ["vpc-1", "vpc-2", "vpc-3"],
    "Id": ["i-0123456789abcdef0", "i-0123456789abcdef1", "10.0.0.1", "8.8.8.8", "web"],
    "Name": ["a", "c", "internal-a", "-", "a" * 33],
    "Names": ["a", "z"],
    "Field": ["host-header", "path-pattern", "http-header", "http-request-method", "query-string", "source-ip", "none"],
    "AllocationId": ["eipalloc-a", "eipalloc-b"],
    "CaCertificatesBundleS3Key": ["ca.pem", "nonsense", "none"],
    "S3Key": ["ca.crl", "nonsense", "none"],
    "Values": ["/a", "*.example.com", "GET", "10.0.0.0/8", "a?b*", "off", "POST"],
    "RegexValues": ["^/a", "(", "a{9999}", r"\bfoo\b", "a{99999999999999999999}", "(?P=a)", "(?x)a"],
    "Regex": ["(" * 500 + ")" * 500, "^/a", "(", "(a)(b)"],
    "Replace": ["/b", "$1", "$9", "\\"],
    "HttpHeaderName": ["X-Team", "Host", "bad name"],
    "SslPolicy": ["ELBSecurityPolicy-2016-08", "ELBSecurityPolicy-None"],
    "ProtocolVersion": ["HTTP1", "HTTP2", "GRPC", "HTTP9"],
    "HealthCheckPath": ["/", "healthz", "/a b"],
    "HealthCheckPort": ["traffic-port", "80", "0", "http", "99999"],
    "HttpCode": ["200", "200-299,301", "abc", "600"],
    "GrpcCode": ["0", "12", "0-99", "100"],
    "StatusCode": ["HTTP_301", "200", "404", "302"],
    "Host": ["#{host}", "a.example", "#{nonsense}"],
    "Path": ["/#{path}", "/a", "a"],
    "Query": ["#{query}", "a=b"],
    "Port": ["#{port}", "443", "0", "x"],
    "Key": ["team", "aws:team", "idle_timeout.timeout_seconds", "stickiness.enabled", "deletion_protection.enabled",
            "slow_start.duration_seconds", "routing.http.response.server.enabled"],
    "Value": ["", "true", "false", "60", "-1", "lb_cookie"],
    "Mode": ["off", "verify", "passthrough", "maybe"],
    "ContentType": ["text/plain", "image/png"],
    "Marker": ["", "1", "nonsense"],
    "AvailabilityZone": ["all", "us-east-1a", "mars-1"],
}  # fmt: skip
TEXT = st.one_of(st.text(max_size=8), st.sampled_from(["", "a" * 300, "\x00", "<&>", "9" * 40, "\ud7ff\ue000", "\n"]))


def values(shape: Any, name: str, arns: Mapping[str, list[str]]) -> st.SearchStrategy[Any]:
    match shape.type_name:
        case "structure":
            members = {key: values(member, key, arns) for key, member in shape.members.items()}
            required = {key: members.pop(key) for key in shape.required_members if key in members}
            return st.fixed_dictionaries(required, optional=members)
        case "list":
            return st.lists(values(shape.member, name, arns), max_size=3)
        case "map":
            return st.dictionaries(TEXT, TEXT, max_size=2)
        case "string":
            likely = list(shape.metadata.get("enum", ())) + KNOWN.get(name, [])
            for key, found in arns.items():
                if name.startswith(key):
                    likely += found
            return st.one_of(st.sampled_from(likely), st.sampled_from(likely), TEXT) if likely else TEXT
        case "integer" | "long":
            low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 2**31 - 1)
            return st.one_of(st.integers(low, high), st.sampled_from([low - 1, high + 1, 0, 1, 80, 2**31]))
        case "boolean":
            return st.booleans()
        case other:
            raise AssertionError(f"no values for {other}")


@cache
def arns_there() -> dict[str, list[str]]:
    """The same each time: ids follow from names."""
    return standing()[1]


def good_calls(arns: Mapping[str, list[str]]) -> list[tuple[str, dict[str, Any]]]:
    """Calls that are taken as they stand."""
    balancer, listeners, groups = arns["LoadBalancerArn"][0], arns["ListenerArn"], arns["TargetGroupArn"]
    rules, certificate = arns["RuleArn"], [{"CertificateArn": CERTIFICATE}]
    weighted = {
        "TargetGroups": [{"TargetGroupArn": groups[0], "Weight": 1}, {"TargetGroupArn": groups[1], "Weight": 9}],
        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
    }
    endpoints = {
        "AuthorizationEndpoint": "https://i/a",
        "TokenEndpoint": "https://i/t",
        "UserInfoEndpoint": "https://i/u",
    }
    login = {"Issuer": "https://i", **endpoints, "ClientId": "c", "ClientSecret": "s", "SessionTimeout": 60}
    redirect = {"StatusCode": "HTTP_301", "Protocol": "HTTPS", "Port": "443", "Host": "#{host}", "Path": "/#{path}"}
    conditions = [
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "b*"}]}},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Team", "Values": ["a"]}},
    ]
    rewrite = [{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/a", "Replace": "/b"}]}}]
    network = {"Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1"}
    bundle = {"CaCertificatesBundleS3Bucket": "b", "CaCertificatesBundleS3Key": "ca.pem"}
    store, units = arns["TrustStoreArn"][0], {"CapacityUnits": 100}
    revoked = {"S3Bucket": "b", "S3Key": "ca.crl", "RevocationType": "CRL"}
    return [
        ("CreateLoadBalancer", {"Name": "new", "Subnets": ["subnet-a", "subnet-b"], "SecurityGroups": ["sg-a"]}),
        ("CreateLoadBalancer", {"Name": "net", "Type": "network", "Subnets": ["subnet-a"]}),
        ("SetSubnets", {"LoadBalancerArn": balancer, "Subnets": ["subnet-a", "subnet-b"]}),
        ("CreateTargetGroup", {"Name": "new", **network, "HealthCheckPath": "/healthz"}),
        ("CreateTargetGroup", {"Name": "rpc", **network, "ProtocolVersion": "GRPC", "Matcher": {"GrpcCode": "0"}}),
        ("CreateListener", {"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 8080, "DefaultActions": [FIXED]}),
        ("CreateListener", {
            "LoadBalancerArn": balancer, "Protocol": "HTTPS", "Port": 8443, "Certificates": certificate,
            "DefaultActions": [{"Type": "forward", "ForwardConfig": weighted}],
            "MutualAuthentication": {"Mode": "verify", "TrustStoreArn": store},
        }),
        ("ModifyListener", {"ListenerArn": listeners[1], "SslPolicy": "ELBSecurityPolicy-2016-08"}),
        ("AddListenerCertificates", {"ListenerArn": listeners[1], "Certificates": certificate}),
        ("CreateRule", {
            "ListenerArn": listeners[1], "Priority": 7, "Conditions": conditions, "Transforms": rewrite,
            "Actions": [
                {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": login},
                {"Type": "forward", "Order": 2, "ForwardConfig": weighted},
            ],
        }),
        ("CreateRule", {
            "ListenerArn": listeners[0], "Priority": 8, "Conditions": [{"Field": "path-pattern", "Values": ["/b"]}],
            "Actions": [{"Type": "redirect", "RedirectConfig": redirect}],
        }),
        ("ModifyRule", {"RuleArn": rules[0], "Conditions": conditions[:1], "Actions": [FIXED]}),
        ("SetRulePriorities", {"RulePriorities": [{"RuleArn": rules[0], "Priority": 2}]}),
        ("RegisterTargets", {"TargetGroupArn": groups[0], "Targets": [{"Id": "i-0123456789abcdef0", "Port": 80}]}),
        ("RegisterTargets", {"TargetGroupArn": groups[2], "Targets": [{"Id": "10.0.0.1"}]}),
        ("ModifyCapacityReservation", {"LoadBalancerArn": balancer, "MinimumLoadBalancerCapacity": units}),
        ("CreateTrustStore", {"Name": "new", **bundle}),
        ("ModifyTrustStore", {"TrustStoreArn": store, **bundle}),
        ("AddTrustStoreRevocations", {"TrustStoreArn": store, "RevocationContents": [revoked]}),
    ]  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, shape: Any, value: Any, name: str) -> Any:
    """A value with a few things in it that are others, too many, or gone."""
    if draw(st.integers(0, 15)) == 0:
        return draw(values(shape, name, arns_there()))
    match shape.type_name:
        case "structure":
            kept = {key: item for key, item in value.items() if draw(st.integers(0, 15))}
            more = [key for key in shape.members if key not in value]
            result = {key: draw(changed(shape.members[key], item, key)) for key, item in kept.items()}
            if more and draw(st.integers(0, 7)) == 0:
                key = draw(st.sampled_from(more))
                result[key] = draw(values(shape.members[key], key, arns_there()))
            return result
        case "list":
            items = [draw(changed(shape.member, item, name)) for item in value]
            return items * 2 if draw(st.integers(0, 15)) == 0 else items
        case _:
            return value


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    if draw(st.booleans()):
        operation, parameters = draw(st.sampled_from(good_calls(arns_there())))
        result = draw(changed(MODEL.operation_model(operation).input_shape, parameters, ""))
        return operation, result if isinstance(result, dict) else {}
    operation = draw(st.sampled_from(sorted(OPERATIONS)))
    return operation, draw(values(MODEL.operation_model(operation).input_shape, "", arns_there()))


def held(elbv2: ElasticLoadBalancing) -> dict[str, Any]:
    state = elbv2.state
    return {name: value for name, value in vars(state).items() if name not in ("neighbours", "_made")}


def test_valid_calls_are_accepted() -> None:
    for operation, parameters in good_calls(arns_there()):
        answer = ask(standing()[0], operation, parameters)
        assert answer.status == 200, (operation, answer.body)


@settings(deadline=None, derandomize=True, max_examples=250)
@given(st.lists(calls(), min_size=1, max_size=4))
def test_every_call_is_answered_and_a_refused_one_changes_nothing(made: list[tuple[str, dict[str, Any]]]) -> None:
    elbv2, _ = standing()
    for operation, parameters in made:
        before = deepcopy(held(elbv2))
        answer = ask(elbv2, operation, parameters)
        if answer.status >= 300:
            assert held(elbv2) == before
        assert answer.status in (200, 400), answer.body
        parser = create_parser("query")
        output = MODEL.operation_model(operation).output_shape
        parsed = parser.parse({"body": answer.body, "headers": {}, "status_code": answer.status}, output)
        if answer.status == 400:
            assert parsed["Error"]["Code"] not in ("", "InternalFailure")
            assert parsed["Error"]["Message"]


def ask(elbv2: ElasticLoadBalancing, operation: str, parameters: dict[str, Any]) -> protocol.HttpAnswer:
    """Over the wire: a client's text in, the service's text out."""
    serialized = create_serializer("query", include_validation=False).serialize_to_request(
        parameters, MODEL.operation_model(operation)
    )
    from urllib.parse import urlencode

    body = urlencode(serialized["body"], doseq=True).encode()
    headers = (("content-type", "application/x-www-form-urlencoded"), ("host", "127.0.0.1"))
    request = HttpRequest("POST", "/", "", headers, body)
    try:
        call = protocol.parse("elbv2", operation, REGION, request)
        return protocol.success(call, elbv2.answer(call))
    except Refusal as refusal:
        return protocol.failure("elbv2", refusal)


def test_the_clock_of_the_answers_is_a_clients() -> None:
    elbv2, arns = standing()
    answer = ask(elbv2, "DescribeLoadBalancers", {"LoadBalancerArns": arns["LoadBalancerArn"][:1]})
    output = MODEL.operation_model("DescribeLoadBalancers").output_shape
    parsed = create_parser("query").parse({"body": answer.body, "headers": {}, "status_code": 200}, output)
    assert parsed["LoadBalancers"][0]["CreatedTime"] <= datetime.now(UTC)
