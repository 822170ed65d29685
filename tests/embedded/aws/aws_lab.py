"""A running AWS API and real clients on it."""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lockgate.embedded.aws import AwsApi
from lockgate.embedded.service_accounts import ServiceAccountTokens

ACCOUNT, REGION = "123456789012", "ap-northeast-2"
KEY, SECRET = "AKIATESTTESTTESTTEST", "a secret for tests"

Value = TypeVar("Value")


class Lab:
    """`run` runs a coroutine in the API's loop, `client` makes a boto3 client."""

    def __init__(self, api: AwsApi, loop: asyncio.AbstractEventLoop) -> None:
        self.api = api
        self._loop = loop

    def run(self, work: Awaitable[Value]) -> Value:
        async def done() -> Value:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(30)

    def client(self, service: str, *, region: str = REGION, key: str = KEY, secret: str = SECRET) -> Any:
        # Not boto3.client: while moto is imported, boto3.Session is another one.
        return boto3.session.Session().client(
            service,
            endpoint_url=self.api.url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 1}, parameter_validation=False),
        )


@contextmanager
def lab(quotas: Mapping[str, int] | None = None, tokens: ServiceAccountTokens | None = None) -> Iterator[Lab]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> AwsApi:
        api = AwsApi(ACCOUNT, REGION, access_key_id=KEY, secret_access_key=SECRET, tokens=tokens, quotas=quotas)
        await api.start()
        return api

    api = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield Lab(api, loop)
    finally:
        asyncio.run_coroutine_threadsafe(api.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def refusal(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    """The code and message of a call that is refused."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError(f"was accepted: {answer}")


def certificate(
    *names: str, ca: bool = False, issuer: tuple[str, str] | None = None, days: int = 90
) -> tuple[str, str]:
    """A certificate and its key as PEM; self-signed, or signed by `issuer`, another such pair."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    signer: Any = key
    above = subject
    if issuer is not None:
        signer = load_pem_private_key(issuer[1].encode(), None)
        above = x509.load_pem_x509_certificate(issuer[0].encode()).subject
    now = datetime.datetime.now(datetime.UTC)
    start = now - datetime.timedelta(days=100)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca, None), True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    )
    pem = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    return pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def revocation_list(issuer: str, key: str, serial: int) -> bytes:
    """A list, as DER, by which the issuer revokes one serial number."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    signer: Any = load_pem_private_key(key.encode(), None)
    now = datetime.datetime.now(datetime.UTC)
    revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_pem_x509_certificate(issuer.encode()).subject)
        .last_update(now)
        .next_update(now + datetime.timedelta(days=1))
        .add_revoked_certificate(revoked)
    )
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)
