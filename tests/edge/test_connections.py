"""An HTTP/2 client that goes on and on, while everything around its connection changes."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.edge.conftest import Start, Up

STREAMS = 4
REQUESTS = 40  # of each stream after each change


def test_an_http2_client_loses_no_request_while_the_load_balancer_changes(up: Start, manifests: Path) -> None:
    asyncio.run(_story(Account(up(manifests).ready())))


async def _story(aws: Account) -> None:
    served: Counter[int] = Counter()
    lost: list[str] = []
    done = asyncio.Event()
    async with httpx.AsyncClient(http2=True, verify=_unverified(), limits=httpx.Limits(max_connections=1)) as client:

        async def ask(stream: int) -> None:
            while not done.is_set():
                try:
                    answer = await client.get(aws.url, headers={"Host": "quay.example"}, timeout=30)
                except httpx.HTTPError as error:
                    lost.append(repr(error))
                else:
                    served[stream] += 1
                    if (answer.status_code, answer.http_version) != (200, "HTTP/2"):
                        lost.append(f"{answer.http_version} {answer.status_code}")

        streams = [asyncio.create_task(ask(number)) for number in range(STREAMS)]
        for change in aws.changes():
            await asyncio.to_thread(change)
            before = Counter(served)
            async with asyncio.timeout(60):
                while any(served[number] < before[number] + REQUESTS for number in range(STREAMS)):
                    await asyncio.sleep(0.02)
            assert not lost, f"{change}: {lost}"
        assert aws.presented("other.example") == "other.example"  # new connections have the new certificate
        assert await asyncio.to_thread(aws.status, 8081) == 201  # and the new listener answers
        done.set()
        await asyncio.gather(*streams)
    assert not lost


class Account:
    """The load balancer of an edge, through the AWS API."""

    def __init__(self, edge: Up) -> None:
        reported = edge.status()
        (balancer,) = reported["hops"][1]["load_balancers"]
        self._edge = edge
        self._arn, self._address = balancer["arn"], balancer["address"]
        self._ports = {each["port"]: each["local_port"] for each in balancer["listeners"]}
        self.url = f"https://{self._address}:{self._ports[443]}/"
        given = {
            "endpoint_url": reported["addresses"]["aws"],
            "region_name": reported["aws"]["region"],
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
        }
        given |= json.loads(edge.exec("python3", "-c", _KEYS))
        self._elbv2, self._acm = boto3.client("elbv2", **given), boto3.client("acm", **given)

    def changes(self) -> list[Callable[[], Any]]:
        listeners = self._elbv2.describe_listeners(LoadBalancerArn=self._arn)["Listeners"]
        secure = next(each["ListenerArn"] for each in listeners if each["Port"] == 443)
        group = self._elbv2.describe_target_groups(LoadBalancerArn=self._arn)["TargetGroups"][0]["TargetGroupArn"]
        answer = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "201"}}]
        elbv2 = self._elbv2

        def attribute(key: str, value: str) -> Callable[[], Any]:
            attributes = [{"Key": key, "Value": value}]
            return lambda: elbv2.modify_load_balancer_attributes(LoadBalancerArn=self._arn, Attributes=attributes)

        def rule(priority: int, **condition: Any) -> Callable[[], Any]:
            return lambda: elbv2.create_rule(
                ListenerArn=secure, Priority=priority, Conditions=[condition], Actions=answer
            )

        return [
            lambda: elbv2.add_listener_certificates(
                ListenerArn=secure, Certificates=[{"CertificateArn": self._imported("other.example")}]
            ),
            lambda: elbv2.modify_listener(ListenerArn=secure, SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06"),
            attribute("idle_timeout.timeout_seconds", "61"),
            rule(801, Field="path-pattern", Values=["/elsewhere"]),
            rule(802, Field="source-ip", SourceIpConfig={"Values": ["10.0.0.0/8"]}),
            lambda: elbv2.create_listener(LoadBalancerArn=self._arn, Port=8081, Protocol="HTTP", DefaultActions=answer),
            lambda: elbv2.modify_target_group(TargetGroupArn=group, HealthCheckIntervalSeconds=20),
            lambda: elbv2.modify_target_group_attributes(
                TargetGroupArn=group, Attributes=[{"Key": "slow_start.duration_seconds", "Value": "30"}]
            ),
            attribute("client_keep_alive.seconds", "3000"),
        ]

    def presented(self, name: str) -> str:
        """The common name of the certificate that a new connection gets."""
        context = _unverified()
        with (
            socket.create_connection((self._address, self._ports[443]), 20) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            certificate = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
        return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)

    def status(self, port: int) -> int:
        (balancer,) = self._edge.status()["hops"][1]["load_balancers"]
        local = next(each["local_port"] for each in balancer["listeners"] if each["port"] == port)
        return httpx.get(f"http://{self._address}:{local}/").status_code

    def _imported(self, name: str) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        imported = self._acm.import_certificate(
            Certificate=certificate.public_bytes(Encoding.PEM),
            PrivateKey=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        return str(imported["CertificateArn"])


_KEYS = """
import json, os
names = ("aws_access_key_id", "aws_secret_access_key")
print(json.dumps({name: os.environ[name.upper()] for name in names}))
"""


def _unverified() -> ssl.SSLContext:
    """By address: what is tried is the connection, not who answers."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
