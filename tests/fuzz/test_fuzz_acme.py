"""Whatever an ACME client sends, signed or not, the CA does what was asked or answers with a problem, never 5xx."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from lockgate.certificates.authority import Authority, Content
from lockgate.certificates.keys import encode_key
from lockgate.embedded.acme import AcmeServer
from tests.fuzz.fuzzing import fuzz, mutated, odd_texts, odd_values

NOW = datetime.now(UTC).replace(microsecond=0)
KEY = ec.generate_private_key(ec.SECP256R1())


@cache
def authority() -> Authority:
    return Authority.root(
        "Test root",
        ec.generate_private_key(ec.SECP256R1()),
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=365),
        serial=1,
    )


async def _server() -> AcmeServer:
    folder = Path(tempfile.mkdtemp())
    key = ec.generate_private_key(ec.SECP256R1())
    content = Content((x509.IPAddress(IPv4Address("127.0.0.1")),))
    until = NOW + timedelta(days=30)
    chain = authority().issue(
        key.public_key(),
        content,
        not_before=NOW - timedelta(days=1),
        not_after=until,
        serial=x509.random_serial_number(),
    )
    (folder / "chain.pem").write_text(chain)
    (folder / "key.pem").write_bytes(encode_key(key))
    server = AcmeServer(authority(), dns_server=("127.0.0.1", 9))
    await server.start(certificate=(folder / "chain.pem", folder / "key.pem"))
    return server


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _jwk() -> dict[str, str]:
    numbers = KEY.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _b64(numbers.x.to_bytes(32)), "y": _b64(numbers.y.to_bytes(32))}


def _signed(header: Any, payload: bytes) -> bytes:
    protected = _b64(json.dumps(header).encode())
    text = _b64(payload)
    r, s = decode_dss_signature(KEY.sign(f"{protected}.{text}".encode(), ec.ECDSA(hashes.SHA256())))
    body = {"protected": protected, "payload": text, "signature": _b64(r.to_bytes(32) + s.to_bytes(32))}
    return json.dumps(body).encode()


async def _ask(
    server: AcmeServer, method: str, path: str, body: bytes = b"", media: str = "application/jose+json"
) -> tuple[int, dict[bytes, bytes], bytes]:
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", media.encode("utf-8", "replace"))]
    await server({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@cache
def csr() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example")])
    names = x509.SubjectAlternativeName([x509.DNSName("a.example")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(names, critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


PAYLOADS: dict[str, Any] = {
    "new-account": {"termsOfServiceAgreed": True, "contact": ["mailto:a@b.example"], "onlyReturnExisting": False},
    "new-order": {
        "identifiers": [{"type": "dns", "value": "a.example"}, {"type": "dns", "value": "*.a.example"}],
        "notBefore": "2026-01-01T00:00:00Z",
        "profile": "classic",
        "replaces": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
    },
    "revoke-cert": {"certificate": "MIIB", "reason": 1},
    "key-change": {"protected": "e30", "payload": "e30", "signature": "AA"},
    "account/1": {"status": "deactivated", "contact": []},
    "account/1/orders": "",
    "order/1": "",
    "order/1/finalize": {"csr": "MIIB"},
    "authorization/1": {"status": "deactivated"},
    "challenge/1/1": {},
    "certificate/1": "",
    "certificate/1/1": "",
    "renewal-info": {},
}
PATHS = st.one_of(
    st.sampled_from(
        [*PAYLOADS, "directory", "new-nonce", "terms", "renewal-info/aYhba4.AIdl", "renewal-info/....", ""]
    ),
    st.builds(lambda path, more: f"{path}/{more}", st.sampled_from(sorted(PAYLOADS)), odd_texts),
    odd_texts,
)


@fuzz(60)
@given(data=st.data())
def test_every_request_has_an_answer(data: st.DataObject) -> None:
    async def story() -> None:
        server = await _server()
        base = server.directory_url.removesuffix("/directory")
        try:
            kid = await _account(server, base)
            order = await _order(server, base, kid)
            for _ in range(3):
                await _odd(server, base, kid, order, data)
        finally:
            await server.stop()

    asyncio.run(story())


async def _nonce(server: AcmeServer) -> str:
    _, headers, _ = await _ask(server, "HEAD", "/acme/new-nonce")
    return headers[b"replay-nonce"].decode()


async def _post(server: AcmeServer, base: str, path: str, who: dict[str, Any], payload: Any) -> tuple[int, Any, bytes]:
    header = {"alg": "ES256", "nonce": await _nonce(server), "url": f"{base}/{path}", **who}
    text = b"" if payload == "" else json.dumps(payload).encode()
    return await _ask(server, "POST", f"/acme/{path}", _signed(header, text))


async def _account(server: AcmeServer, base: str) -> str:
    _, headers, _ = await _post(server, base, "new-account", {"jwk": _jwk()}, {"termsOfServiceAgreed": True})
    return str(headers[b"location"].decode())


async def _order(server: AcmeServer, base: str, kid: str) -> list[str]:
    """Paths of an order and what belongs to it."""
    wanted = {"identifiers": [{"type": "dns", "value": "a.example"}]}
    _, headers, body = await _post(server, base, "new-order", {"kid": kid}, wanted)
    order = json.loads(body)
    urls = [headers[b"location"].decode(), order["finalize"], *order["authorizations"]]
    return [url.removeprefix(f"{base}/") for url in urls]


async def _odd(server: AcmeServer, base: str, kid: str, order: list[str], data: st.DataObject) -> None:
    path = data.draw(PATHS | st.sampled_from(order))
    usual = PAYLOADS.get(path, {"csr": _b64(csr())} if "finalize" in path else "")
    payload = data.draw(st.just(usual) | mutated(usual) | odd_values)
    who = {"jwk": _jwk()} if path in ("new-account", "revoke-cert") and data.draw(st.booleans()) else {"kid": kid}
    header: Any = {"alg": "ES256", "nonce": await _nonce(server), "url": f"{base}/{path}", **who}
    if data.draw(st.integers(0, 3)) == 0:
        header = data.draw(mutated(header))
    body = _signed(header, b"" if payload == "" else json.dumps(payload).encode())
    if data.draw(st.integers(0, 9)) == 0:
        body = data.draw(
            mutated(json.loads(body)).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50)
        )
    method = data.draw(st.sampled_from(["POST", "POST", "POST", "POST", "GET", "HEAD", "DELETE"]))
    media = data.draw(st.sampled_from(["application/jose+json"] * 9 + ["text/plain"]))
    status, headers, answer = await _ask(server, method, f"/acme/{path}", body, media)
    assert status < 500, (method, path, header, payload, answer)
    for name, value in headers.items():
        assert not any(sign < 32 or sign == 127 for sign in name + value), (name, value, path)
    if b"json" in headers.get(b"content-type", b"") and method != "HEAD":
        json.loads(answer)
