"""`lockgate probe` of an edge with faults: it must name each. The table is `tests/cases/probe/injected.yaml`."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lockgate.cli.probe import probe
from lockgate.deploy.account import Account
from lockgate.deploy.cluster import Cluster
from lockgate.deploy.kubeconfig import context
from lockgate.deploy.live import live_edge
from lockgate.edge.edge import Edge
from lockgate.probe.reading import NoSuchLoadBalancer
from lockgate.runtime import commands
from lockgate.runtime.state import StateFolder
from lockgate.trace.model import Request
from lockgate.trace.text import as_json
from lockgate.trace.walk import trace
from tests.edge.conftest import PATIENCE, Start, Up
from tests.edge.failing_backends import PROGRAMS, backends

FOLDER = Path(__file__).parent / "faults"
TABLE = Path(__file__).parents[1] / "cases" / "probe" / "injected.yaml"
ROWS = yaml.safe_load(TABLE.read_text())


@pytest.fixture(scope="module")
def faulty(up: Start) -> Iterator[tuple[Up, dict[str, str]]]:
    """The edge with the faults that only its APIs can make, too; and the values that rows refer to."""
    with backends() as ports:
        named = [f"shop/{name}:80=http://127.0.0.1:{ports[name]}" for name in (*PROGRAMS, "closed")]
        edge = up(FOLDER, *(part for each in named for part in ("--backend", each)))
        edge.until("check finds")  # some targets never get healthy
        edge.wait(until=lambda: _answers(edge), what="a request that nothing is wrong with is answered")
        yield edge, _by_hand(edge)


def _answers(edge: Up) -> bool:
    return (
        edge.exec("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "https://well.lock.example/", check=False)
        == "200"
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.get("host") or row["url"])
def test_the_cause_is_named(faulty: tuple[Up, dict[str, str]], row: dict[str, Any]) -> None:
    edge, known = faulty
    url = row.get("url", f"https://{row.get('host')}.lock.example/").format(**known)
    url += _filled(row.get("path", ""))
    found = _probe(edge, url, *row.get("args", ()))
    if row.get("twice"):
        found = _probe(edge, url)
    causes = [cause["name"] for cause in found["causes"]]
    assert causes[:1] == ([row["cause"]] if row["cause"] else []), json.dumps(found, indent=1)


@pytest.mark.parametrize("host", ["well", "no-route", "server-name", "denied", "weights", "no-cluster"])
def test_the_apis_alone_lead_to_the_same_prediction(
    faulty: tuple[Up, dict[str, str]], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge, _ = faulty
    for name, value in json.loads(edge.lockgate("env", "--output", "json").stdout).items():
        if name.startswith("AWS"):
            monkeypatch.setenv(name, value)
    request = Request.of(f"https://{host}.lock.example/", http2=True)
    folder = StateFolder.of(edge.name)
    predicted = commands.ask_trace(folder, request)

    async def read() -> Edge:
        account = Account(region=folder.read()["aws"]["region"])
        try:
            async with Cluster(context(None, str(folder.kubeconfig))) as cluster:
                return await live_edge(cluster, account, request.host)
        finally:
            account.close()

    found = as_json(trace(asyncio.run(read()), request), lambda origin: None)
    assert found["ending"] | {"at": None} == predicted["ending"] | {"at": None}
    assert [hop["title"] for hop in found["hops"]] == [hop["title"] for hop in predicted["hops"]]


def test_a_load_balancer_by_name_and_its_access_log(faulty: tuple[Up, dict[str, str]]) -> None:
    """The name is asked of the load balancer, whatever its records are; its own log says what it did."""
    edge, _ = faulty
    named = json.loads(edge.exec("aws", "elbv2", "describe-load-balancers"))["LoadBalancers"]
    main = next(each for each in named if "main" in each["LoadBalancerName"])
    off = _probe(edge, "https://well.lock.example/", "--wait-logs", "5s")
    assert off["logs"]["load_balancer"] is None
    assert any("access_logs.s3.enabled is not true" in each for each in off["unseen"])
    edge.exec("aws", "s3", "mb", "s3://edge-logs")
    wanted = {"enabled": "true", "bucket": "edge-logs", "prefix": "team/a"}
    pairs = [f"Key=access_logs.s3.{key},Value={value}" for key, value in wanted.items()]
    arn = main["LoadBalancerArn"]
    edge.exec("aws", "elbv2", "modify-load-balancer-attributes", "--load-balancer-arn", arn, "--attributes", *pairs)
    url = "https://well.lock.example/some/path"
    edge.wait(
        until=lambda: _probe(edge, url, "--wait-logs", "7s")["logs"]["load_balancer"] is not None,
        what="the load balancer's log has the request",
    )
    found = _probe(edge, url, "--alb", main["LoadBalancerName"], "--wait-logs", f"{PATIENCE:.0f}s")
    logged = found["logs"]["load_balancer"]
    assert logged["trace_id"].endswith(f"Root={found['request']['trace_id']}")
    assert (logged["elb_status_code"], logged["actions_executed"]) == ("200", "forward")
    assert "/some/path" in logged["request"]
    assert found["load_balancer"]["name"] == main["LoadBalancerName"]
    assert {each["port"] for each in found["load_balancer"]["listeners"]} >= {443}
    elsewhere = _probe(edge, "https://unknown.lock.example/", "--alb", main["LoadBalancerName"])
    assert any("no record of unknown.lock.example leads to" in each for each in elsewhere["unseen"])
    with pytest.raises(NoSuchLoadBalancer, match="no load balancer nope"):
        _probe(edge, "https://well.lock.example/", "--alb", "nope")


def _probe(edge: Up, url: str, *arguments: str) -> dict[str, Any]:
    filled = [_filled(each) for each in arguments]
    arguments = ("--name", edge.name, "--output", "json", url, *filled)
    done = CliRunner().invoke(probe, arguments, catch_exceptions=False, standalone_mode=False)
    found = json.loads(done.stdout)
    assert done.return_value == int(not found["ok"])
    assert isinstance(found, dict)
    return found


def _filled(argument: str) -> str:
    """``{17000}`` stands for so many letters, ``{31 addresses}`` for a list of addresses."""
    many = re.sub(r"\{(\d+) addresses\}", lambda match: ",".join(["203.0.113.1"] * int(match[1])), argument)
    return re.sub(r"\{(\d+)\}", lambda match: "x" * int(match[1]), many)


# --- what no manifest says -----------------------------------------------------------------------------------------


def _by_hand(edge: Up) -> dict[str, str]:
    variables = json.loads(edge.lockgate("env", "--output", "json").stdout)

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )

    elbv2, route53, acm, ec2 = (client(each) for each in ("elbv2", "route53", "acm", "ec2"))
    balancers = {each["LoadBalancerName"]: each for each in elbv2.describe_load_balancers()["LoadBalancers"]}
    main, second = (next(each for name, each in balancers.items() if part in name) for part in ("main", "second"))
    _web_acl(client("wafv2"), second["LoadBalancerArn"])
    made = _load_balancer(elbv2, acm, ec2, client("s3"))
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]
    deleted = elbv2.create_load_balancer(Name="deleted", Subnets=subnets)["LoadBalancers"][0]
    zone = route53.list_hosted_zones()["HostedZones"][0]["Id"]
    two = [{**_alias("two-sets", each), "SetIdentifier": name, "Weight": 1} for name, each in balancers.items()]
    records = [
        {"Name": "text-only.lock.example", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"here"'}]},
        {"Name": "elsewhere.lock.example", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "198.51.100.9"}]},
        _alias("deleted", deleted),
        _alias("by-hand", made),
        {"Name": "six.lock.example", "Type": "AAAA", "TTL": 60, "ResourceRecords": [{"Value": "2001:db8::9"}]},
    ]
    edge.wait(until=lambda: "two-sets" in _names(route53, zone), what="external-dns writes its records")
    replaced = [(route53, zone, "two-sets.lock.example.", "A"), (route53, zone, "six.lock.example.", "AAAA")]
    deletions = [{"Action": "DELETE", "ResourceRecordSet": _record(*each)} for each in replaced]
    _change(
        route53, zone, [*deletions, *({"Action": "UPSERT", "ResourceRecordSet": each} for each in (*records, *two))]
    )
    elbv2.delete_load_balancer(LoadBalancerArn=deleted["LoadBalancerArn"])
    return {"main": main["DNSName"]}


def _alias(host: str, balancer: dict[str, Any]) -> dict[str, Any]:
    target = {
        "HostedZoneId": balancer["CanonicalHostedZoneId"],
        "DNSName": balancer["DNSName"],
        "EvaluateTargetHealth": False,
    }
    return {"Name": f"{host}.lock.example", "Type": "A", "AliasTarget": target}


def _names(route53: Any, zone: str) -> str:
    sets = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return " ".join(each["Name"] for each in sets)


def _record(route53: Any, zone: str, name: str, kind: str) -> dict[str, Any]:
    sets = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    found = next(each for each in sets if each["Name"] == name and each["Type"] == kind)
    assert isinstance(found, dict)
    return found


def _change(route53: Any, zone: str, changes: list[dict[str, Any]]) -> None:
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


def _web_acl(wafv2: Any, balancer: str) -> None:
    visible = {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": "attacks"}
    polite = {"CustomResponse": {"ResponseCode": 429, "CustomResponseBodyKey": "sorry"}}
    rules = [
        {
            "Name": f"attack-{value}",
            "Priority": number,
            "Statement": {
                "ByteMatchStatement": {
                    "FieldToMatch": {"SingleHeader": {"Name": "x-attack"}},
                    "PositionalConstraint": "EXACTLY",
                    "SearchString": value.encode(),
                    "TextTransformations": [{"Priority": 0, "Type": "NONE"}],
                }
            },
            "Action": {"Block": response},
            "VisibilityConfig": visible,
        }
        for number, (value, response) in enumerate({"yes": {}, "polite": polite}.items())
    ]
    made = wafv2.create_web_acl(
        Name="attacks",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        Rules=rules,
        VisibilityConfig=visible,
        CustomResponseBodies={"sorry": {"ContentType": "TEXT_PLAIN", "Content": "no"}},
    )
    wafv2.associate_web_acl(WebACLArn=made["Summary"]["ARN"], ResourceArn=balancer)


def _load_balancer(elbv2: Any, acm: Any, ec2: Any, s3: Any) -> dict[str, Any]:
    """A load balancer with three HTTPS listeners: a private issuer, an expired certificate, mutual TLS."""
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]
    balancer: dict[str, Any] = elbv2.create_load_balancer(Name="by-hand", Subnets=subnets)["LoadBalancers"][0]
    private, _ = _certificate(timedelta(days=30))
    lasting = _imported(acm, private)
    short, ended = _certificate(timedelta(seconds=3))
    expiring = _imported(acm, short)
    s3.create_bucket(Bucket="clients", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="clients", Key="ca.pem", Body=private[0])
    store = elbv2.create_trust_store(
        Name="clients", CaCertificatesBundleS3Bucket="clients", CaCertificatesBundleS3Key="ca.pem"
    )["TrustStores"][0]["TrustStoreArn"]
    verify = {"MutualAuthentication": {"Mode": "verify", "TrustStoreArn": store}}
    for port, certificate, more in ((443, lasting, {}), (444, expiring, {}), (445, lasting, verify)):
        elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Port=port,
            Protocol="HTTPS",
            Certificates=[{"CertificateArn": certificate}],
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
            **more,
        )
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Port=446,
        Protocol="HTTP",
        DefaultActions=[{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_302", "Path": "/"}}],
    )
    time.sleep(max(0.0, min((ended - datetime.now(UTC)).total_seconds(), PATIENCE)))
    return balancer


def _certificate(valid: timedelta) -> tuple[tuple[bytes, bytes], datetime]:
    """A self-signed pair in PEM, and when it ends."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "by-hand.lock.example")])
    ended = datetime.now(UTC) + valid
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(ended)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("by-hand.lock.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pair = (
        made.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    return pair, ended


def _imported(acm: Any, pair: tuple[bytes, bytes]) -> str:
    return str(acm.import_certificate(Certificate=pair[0], PrivateKey=pair[1])["CertificateArn"])
