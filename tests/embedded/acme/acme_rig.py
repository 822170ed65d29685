"""A CA with a name server under it, and Certbot's client, for the tests of this folder."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import requests
from acme import challenges, messages
from acme.client import ClientNetwork, ClientV2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from josepy.b64 import b64encode
from josepy.jwk import JWK, JWKEC, JWKRSA

from lockgate.certificates.authority import Authority, Content
from lockgate.certificates.keys import encode_key
from lockgate.embedded.acme import AcmeServer
from lockgate.embedded.acme.jws import ALGORITHMS

NOW = datetime.now(UTC).replace(microsecond=0)
ROOT = Authority.root(
    "Test root",
    ec.generate_private_key(ec.SECP256R1()),
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=3650),
    serial=1,
)
ISSUING = ROOT.intermediate(
    "Test issuing",
    ec.generate_private_key(ec.SECP256R1()),
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=3650),
    serial=2,
)


class SmallDns:
    """Answers from `records`, by (name, type), over UDP; `codes` says how a name fails. Other names don't exist."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.codes: dict[str, dns.rcode.Rcode] = {}
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                wire, client = self._socket.recvfrom(4096)
                self._socket.sendto(self._reply(dns.message.from_wire(wire)).to_wire(), client)

    def _reply(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.codes:
            reply.set_rcode(self.codes[name])
        elif values := self.records.get((name, kind)):
            reply.answer.append(dns.rrset.from_text(question.name, 10, "IN", kind, *values))
        elif values := self.records.get((name, "CNAME")):
            reply.answer.append(dns.rrset.from_text(question.name, 10, "IN", "CNAME", *values))
        elif not any(known == name for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply


@dataclass
class Rig:
    server: AcmeServer
    dns: SmallDns
    root_file: Path
    sessions: list[requests.Session] = field(default_factory=list)

    def client(self, key: JWK | None = None, *, register: bool = True) -> Any:
        net = ClientNetwork(key or JWKRSA(key=rsa_key()), user_agent="test")
        net.verify_ssl = str(self.root_file)  # type: ignore[assignment]  # handed to requests, which takes a file too
        net.session.trust_env = False
        self.sessions.append(net.session)
        client = ClientV2(ClientV2.get_directory(self.server.directory_url, net), net)
        if register:
            client.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
        return client

    def publish(self, client: Any, order: Any) -> None:
        for authorization in order.authorizations:
            challenge = authorization.body.challenges[0]
            name = f"_acme-challenge.{authorization.body.identifier.value}"
            value = challenge.chall.validation(client.net.key)
            self.dns.records.setdefault((name, "TXT"), []).append(f'"{value}"')

    def answer(self, client: Any, order: Any) -> None:
        for authorization in order.authorizations:
            challenge = authorization.body.challenges[0]
            if challenge.status != messages.STATUS_VALID:
                client.answer_challenge(challenge, challenges.DNS01Response())
        # Certbot's client polls once a second: by the time that it does, let there be an answer.
        while any(client.poll(each)[0].body.status == messages.STATUS_PENDING for each in order.authorizations):
            pass

    def validated(self, client: Any, names: list[str], **how: Any) -> Any:
        """An order whose authorizations are valid, to be finalized."""
        order = client.new_order(csr(names, **how))
        self.publish(client, order)
        self.answer(client, order)
        return client.poll_authorizations(order, datetime.now() + timedelta(seconds=10))

    def issue(self, client: Any, names: list[str], **how: Any) -> Any:
        order = client.begin_finalization(self.validated(client, names, **how))
        new_nonce = client.directory["newNonce"]
        chain = client.net.post(order.body.certificate, None, new_nonce_url=new_nonce).text
        return order.update(fullchain_pem=chain)


def acme_test(test: Callable[[Rig], None], *, folder: Path, **options: Any) -> None:
    """Run a blocking test body on a thread, with a CA on this loop."""

    async def scenario() -> None:
        async with rig(folder, **options) as made:
            await asyncio.to_thread(test, made)

    asyncio.run(scenario())


@asynccontextmanager
async def rig(folder: Path, **options: Any) -> AsyncIterator[Rig]:
    names = SmallDns()
    server = AcmeServer(options.pop("authority", ISSUING), dns_server=names.address, **options)
    await server.start(certificate=server_certificate(folder))
    root_file = folder / "root.pem"
    root_file.write_text(ROOT.root_pem)
    made = Rig(server, names, root_file)
    try:
        yield made
    finally:
        for session in made.sessions:
            session.close()
        await server.stop()
        names.close()


def server_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    chain = ROOT.issue(
        key.public_key(),
        Content((x509.IPAddress(IPv4Address("127.0.0.1")),)),
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=30),
        serial=3,
    )
    (folder / "chain.pem").write_text(chain)
    (folder / "key.pem").write_bytes(encode_key(key))
    return folder / "chain.pem", folder / "key.pem"


def rsa_key(size: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, size)


def csr(names: list[str], *, common_name: str | None = None, key: Any = None) -> bytes:
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)


@dataclass
class RawClient:
    """Signs any content, for invalid requests that Certbot's client would never send."""

    rig: Rig
    key: Any = field(default_factory=rsa_key)
    kid: str | None = None

    def __post_init__(self) -> None:
        self.session = requests.Session()
        self.rig.sessions.append(self.session)
        self.session.trust_env = False
        self.session.verify = str(self.rig.root_file)
        self.directory = self.session.get(self.rig.server.directory_url).json()

    @property
    def jwk(self) -> JWK:
        return JWKRSA(key=self.key) if isinstance(self.key, rsa.RSAPrivateKey) else JWKEC(key=self.key)

    def nonce(self) -> str:
        return self.session.head(self.directory["newNonce"]).headers["Replay-Nonce"]

    def envelope(self, payload: Any, header: dict[str, Any], key: JWK | None = None) -> dict[str, str]:
        protected = b64encode(json.dumps(header).encode()).decode()
        text = "" if payload is None else json.dumps(payload)
        body = b64encode(text.encode()).decode()
        algorithm = ALGORITHMS.get(header.get("alg", "RS256"), ALGORITHMS["RS256"])
        signer = key or self.jwk
        try:
            signature = algorithm.sign(signer.key, f"{protected}.{body}".encode())
        except Exception:
            signature = b"none"
        return {"protected": protected, "payload": body, "signature": b64encode(signature).decode()}

    def header(self, url: str, /, **changes: Any) -> dict[str, Any]:
        header: dict[str, Any] = {"alg": "RS256", "url": url, "nonce": self.nonce()}
        if self.kid:
            header["kid"] = self.kid
        else:
            header["jwk"] = self.jwk.public_key().to_json()
        header.update(changes)
        return {name: value for name, value in header.items() if value is not None}

    def post(
        self, url: str, payload: Any = None, /, *, content_type: str = "application/jose+json", **changes: Any
    ) -> Any:
        return self.send(url, self.envelope(payload, self.header(url, **changes)), content_type=content_type)

    def send(self, url: str, envelope: Any, *, content_type: str = "application/jose+json") -> Any:
        body = envelope if isinstance(envelope, str | bytes) else json.dumps(envelope)
        return self.session.post(url, data=body, headers={"Content-Type": content_type})

    def register(self, **payload: Any) -> Any:
        reply = self.post(self.directory["newAccount"], {"termsOfServiceAgreed": True, **payload})
        if reply.ok:
            self.kid = reply.headers["Location"]
        return reply


def problem(reply: Any) -> tuple[int, str]:
    assert reply.headers["Content-Type"] == "application/problem+json"
    document = reply.json()
    assert document["status"] == reply.status_code
    return reply.status_code, document["type"].removeprefix("urn:ietf:params:acme:error:")
