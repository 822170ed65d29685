"""The embedded ACME CA as a server: RFC 8555 over HTTPS on a loopback port, with its state in memory.

It is as strict as a public CA: every POST must be signed for this URL, with a fresh nonce, by a registered key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lockgate.certificates.authority import Authority
from lockgate.embedded.acme import jws
from lockgate.embedded.acme.accounts import Accounts
from lockgate.embedded.acme.dns01 import Validator
from lockgate.embedded.acme.exchange import Answer, Request, answer, link
from lockgate.embedded.acme.issuance import PROFILES, Profile
from lockgate.embedded.acme.jws import Jwk
from lockgate.embedded.acme.limits import Counters, Limits
from lockgate.embedded.acme.orders import Orders
from lockgate.embedded.acme.problems import Problem
from lockgate.embedded.acme.revocation import Revocations
from lockgate.embedded.acme.state import Account, State
from lockgate.embedded.asgi import Receive, Scope, Send, lifespan
from lockgate.embedded.http import Server, serve

log = logging.getLogger("lockgate.acme")

MOST_BODY_BYTES = 256 * 1024
MOST_NONCES = 10_000  # issued and not yet used; the oldest are dropped first

Handler = Callable[[Request], Answer]


class AcmeServer:
    """A CA that signs with `authority`, and validates dns-01 by queries to the name server at `dns_server`.

    `alternates` are further authorities, whose chains are alternates of the default one. `external_accounts` are HMAC
    keys by key ID. `nonce_reject` is the share (0 to 1) of valid nonces that are refused, to test that clients retry
    (RFC 8555 section 6.5). `limits` are off by default.
    """

    def __init__(
        self,
        authority: Authority,
        *,
        dns_server: tuple[str, int],
        alternates: Sequence[Authority] = (),
        profiles: Mapping[str, Profile] = PROFILES,
        external_accounts: Mapping[str, bytes] = MappingProxyType({}),
        external_account_required: bool = False,
        caa_identities: Sequence[str] = ("letsencrypt.org",),
        limits: Limits | None = None,
        nonce_reject: float = 0.0,
        reuse_authorizations: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._authorities = (authority, *alternates)
        self._profiles = profiles
        self._external_accounts = external_accounts
        self._external_account_required = external_account_required
        self._validator = Validator(dns_server, tuple(caa_identities))
        self._limits = limits or Limits()
        self._nonce_reject = nonce_reject
        self._reuse_authorizations = reuse_authorizations
        self._now = now
        self._nonces: OrderedDict[str, None] = OrderedDict()
        self._state = State()
        self._server: Server | None = None
        self._base = ""

    async def start(self, port: int = 0, *, certificate: tuple[Path, Path], host: str = "127.0.0.1") -> None:
        """Listens on `host`, which the certificate (chain file, key file) must name. Raises `http.PortInUse`."""
        self._server = await serve(self, host=host, port=port, certificate=certificate)
        self._base = f"https://{host}:{self._server.port}/acme"
        self._accounts = Accounts(
            self._state,
            self._base,
            f"{self._base}/new-account",
            self._external_accounts,
            self._external_account_required,
        )
        self._orders = Orders(
            self._state,
            self._base,
            self._authorities,
            self._profiles,
            self._validator,
            Counters(self._limits),
            self._now,
            self._reuse_authorizations,
        )
        self._revocations = Revocations(self._state, self._now)
        # By the first path segment after /acme: the handler, and how many segments may follow.
        self._resources: dict[str, tuple[Handler, range]] = {
            "new-account": (lambda request: self._accounts.create(request, self._now()), range(1)),
            "new-order": (self._orders.create, range(1)),
            "revoke-cert": (self._revocations.revoke, range(1)),
            "key-change": (self._accounts.change_key, range(1)),
            "account": (self._account, range(1, 3)),
            "order": (self._order, range(1, 3)),
            "authorization": (self._orders.authorization, range(1, 2)),
            "challenge": (self._orders.challenge, range(2, 3)),
            "certificate": (self._orders.certificate, range(1, 3)),
        }

    async def stop(self) -> None:
        if self._server is None:
            return
        for task in list(self._orders.tasks):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._orders.tasks, return_exceptions=True)
        await self._server.stop()
        self._server = None

    @property
    def directory_url(self) -> str:
        return f"{self._base}/directory"

    # --- HTTP ----------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        method, path = scope["method"], scope["path"]
        try:
            reply = await self._route(method, path, scope, receive)
        except Problem as problem:
            reply = Answer(
                problem.status,
                json.dumps(problem.document()).encode(),
                "application/problem+json",
                problem.headers,
            )
        except Exception:
            log.exception("%s %r", method, path)
            broken = Problem("serverInternal", "Internal error of the CA. See the log")
            reply = Answer(500, json.dumps(broken.document()).encode(), "application/problem+json")
        await self._send(method, path, reply, send)

    async def _route(self, method: str, path: str, scope: Scope, receive: Receive) -> Answer:
        resource, *rest = path.removeprefix("/acme/").split("/")
        if not path.startswith("/acme/"):
            raise Problem("malformed", "Page not found", status=404)
        match method, resource:
            case "GET" | "HEAD", "directory" if not rest:
                return answer(self._directory())
            case "HEAD", "new-nonce" if not rest:
                return Answer(200)
            case "GET", "new-nonce" if not rest:
                return Answer(204)
            case "GET" | "HEAD", "renewal-info" if len(rest) == 1:
                return self._revocations.renewal_info(rest[0])
            case "GET" | "HEAD", "terms" if not rest:
                text = b"This CA is for trying things on one machine. Nothing but that machine trusts it.\n"
                return Answer(200, text, "text/plain; charset=utf-8")
        if resource not in self._resources or len(rest) not in self._resources[resource][1]:
            raise Problem("malformed", "Page not found", status=404)
        if method != "POST":
            raise Problem("malformed", "Method not allowed", status=405, headers=[("Allow", "POST")])
        handler = self._resources[resource][0]
        # A revocation may be signed by the certificate's key. newAccount is signed by the new key. All other requests
        # are signed by an account.
        own_key = resource in ("new-account", "revoke-cert")
        request = self._authenticate(
            await _body(scope, receive), f"{self._base}/{path.removeprefix('/acme/')}", rest, own_key=own_key
        )
        return handler(request)

    def _authenticate(self, body: bytes, url: str, rest: list[str], *, own_key: bool) -> Request:
        envelope = jws.parse(body)
        account, key = self._signer(envelope, own_key=own_key)
        envelope.verify(key)
        # The nonce is spent only after the signature is verified, so that others cannot use it up.
        if not self._spend(envelope.nonce):
            raise Problem("badNonce", "JWS has an invalid anti-replay nonce")
        if envelope.url != url:
            raise Problem(
                "unauthorized",
                f"JWS header parameter 'url' incorrect. Expected {url!r} got {envelope.url!r}",
            )
        return Request(url, tuple(rest), envelope, key, account)

    def _signer(self, envelope: jws.Envelope, *, own_key: bool) -> tuple[Account | None, Jwk]:
        if envelope.jwk is not None:
            if not own_key:
                raise Problem("malformed", "No Key ID in JWS header")
            return None, envelope.jwk
        prefix = f"{self._base}/account/"
        kid = envelope.kid or ""
        account = self._state.accounts.get(kid.removeprefix(prefix)) if kid.startswith(prefix) else None
        if account is None:
            raise Problem("accountDoesNotExist", f"Account {kid!r} not found")
        if account.status != "valid":
            raise Problem("unauthorized", f"Account is not valid, has status {account.status!r}")
        return account, account.key

    def _spend(self, nonce: str | None) -> bool:
        if nonce is None or nonce not in self._nonces:
            return False
        del self._nonces[nonce]
        return secrets.randbelow(1_000_000) >= self._nonce_reject * 1_000_000

    def _nonce(self) -> str:
        nonce = secrets.token_urlsafe(16)
        self._nonces[nonce] = None
        if len(self._nonces) > MOST_NONCES:
            self._nonces.popitem(last=False)
        return nonce

    async def _send(self, method: str, path: str, reply: Answer, send: Send) -> None:
        headers = [
            ("Content-Length", str(len(reply.body))),
            ("Cache-Control", "public, max-age=0, no-cache"),
            *reply.headers,
        ]
        if reply.body:
            headers.append(("Content-Type", reply.content_type))
        if method == "POST" or path == "/acme/new-nonce":
            headers.append(("Replay-Nonce", self._nonce()))
            headers[1] = ("Cache-Control", "no-store")
        if path != "/acme/directory":
            headers.append(link(self.directory_url, "index"))
        if reply.status == 204:
            del headers[0]
        raw = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        body = b"" if method == "HEAD" else reply.body
        await send({"type": "http.response.body", "body": body})

    def _directory(self) -> dict[str, Any]:
        return {
            "newNonce": f"{self._base}/new-nonce",
            "newAccount": f"{self._base}/new-account",
            "newOrder": f"{self._base}/new-order",
            "revokeCert": f"{self._base}/revoke-cert",
            "keyChange": f"{self._base}/key-change",
            "renewalInfo": f"{self._base}/renewal-info",
            "meta": {
                "termsOfService": f"{self._base}/terms",
                "caaIdentities": list(self._validator.caa_identities),
                "externalAccountRequired": self._external_account_required,
                "profiles": {name: profile.description for name, profile in self._profiles.items()},
            },
        }

    def _account(self, request: Request) -> Answer:
        if len(request.path) == 1:
            return self._accounts.update(request)
        if request.path[1] == "orders":
            return self._accounts.orders(request)
        raise Problem("malformed", "Page not found", status=404)

    def _order(self, request: Request) -> Answer:
        if len(request.path) == 1:
            return self._orders.show(request)
        if request.path[1] == "finalize":
            return self._orders.finalize(request)
        raise Problem("malformed", "Page not found", status=404)


async def _body(scope: Scope, receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("malformed", "The request's body did not arrive in time", status=408)
        body += message.get("body", b"")
        if len(body) > MOST_BODY_BYTES:
            raise Problem("malformed", "Request body is too large", status=413)
        more = message.get("more_body", False)
    # Looked at when all was read: a connection with a body that nobody read cannot be used again.
    content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if content_type.decode("latin-1").strip().lower() != "application/jose+json":
        raise Problem(
            "malformed",
            "Invalid Content-Type header on POST. Content-Type must be 'application/jose+json'",
            status=415,
        )
    return bytes(body)
