"""Certbot's ACME client, with one method per operation, on a separate thread.

The client blocks and keeps its nonces, so each account has one thread. Its polling sleeps whole seconds, so the caller
polls instead.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lockgate import __version__
from lockgate.certificates.keys import PrivateKey

Answer = TypeVar("Answer")

HTTP_TIMEOUT = 90  # seconds, cert-manager's
MOST_NONCE_RETRIES = 5


def preload() -> None:
    """Imports the client's modules (0.25 s): on a thread, while the rest of an edge starts."""
    import acme.client  # noqa: F401


class AcmeError(Exception):
    """An error of the CA: `status` is HTTP's, `kind` the last part of the problem's URN."""

    def __init__(self, status: int, urn: str, detail: str, subproblems: Sequence[str] = ()) -> None:
        more = "".join(f"\n\t{each}" for each in subproblems)
        super().__init__(f"{status} {urn}: {detail}" + (f"; subproblems:{more}" if more else ""))
        self.status = status
        self.kind = urn.rpartition(":")[2]
        self.detail = detail

    @property
    def is_final(self) -> bool:
        """cert-manager considers any 4xx final: a retry would not change it."""
        return 400 <= self.status < 500


class AcmeUnreachable(Exception):
    """No valid response of an ACME server."""


@dataclass(frozen=True, slots=True)
class ChallengeAnswer:
    url: str
    token: str
    type: str
    status: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class AuthorizationAnswer:
    url: str
    identifier: str
    wildcard: bool
    status: str
    challenges: tuple[ChallengeAnswer, ...]


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    url: str
    status: str
    finalize: str
    authorizations: tuple[str, ...]
    certificate: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Trust:
    """`bundle` is a file of root certificates, None for the machine's. `local` ignores the environment's proxies."""

    bundle: Path | None = None
    skip_verification: bool = False
    local: bool = False


@dataclass(slots=True)
class AcmeClient:
    """`uri` is the account's, empty until it is registered."""

    directory_url: str
    trust: Trust
    key: PrivateKey = field(repr=False)
    uri: str = ""
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="acme"), repr=False
    )
    _network: Any = field(default=None, repr=False)
    _directory: Any = field(default=None, repr=False)
    _status: int = 0

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._network is not None:
            self._network.session.close()

    async def register(self, email: str, external_account: tuple[str, str] | None) -> str:
        """Registers the account or finds the key's; returns its URI. `external_account` is key ID and HMAC key."""
        return await self._call(lambda: self._register(email, external_account))

    async def new_order(
        self, names: Sequence[str], *, not_after: str = "", profile: str = "", replaces: str = ""
    ) -> OrderAnswer:
        options = {"notAfter": not_after, "profile": profile, "replaces": replaces}
        document: dict[str, Any] = {member: value for member, value in options.items() if value}
        document["identifiers"] = [{"type": "dns", "value": name} for name in names]
        return await self._call(lambda: _order(self._post(self._directory["newOrder"], document)))

    async def order(self, url: str) -> OrderAnswer:
        return await self._call(lambda: _order(self._post(url), url))

    async def authorization(self, url: str) -> AuthorizationAnswer:
        return await self._call(lambda: _authorization(url, self._post(url).json()))

    async def accept(self, challenge_url: str) -> None:
        """Reports to the CA that a challenge is ready."""
        await self._call(lambda: self._post(challenge_url, {}))

    async def finalize(self, order: str, url: str, csr: bytes) -> OrderAnswer:
        """`csr` is DER."""
        document = {"csr": base64.urlsafe_b64encode(csr).rstrip(b"=").decode()}
        return await self._call(lambda: _order(self._post(url, document), order))

    async def certificate(self, url: str, preferred_chain: str = "") -> bytes:
        """The chain as PEM: the one whose last certificate was issued by `preferred_chain`, else the default chain."""
        return await self._call(lambda: self._certificate(url, preferred_chain))

    def key_authorization_digest(self, token: str) -> str:
        """The content of a dns-01 TXT record: RFC 8555 section 8.4."""
        import hashlib

        text = f"{token}.{base64.urlsafe_b64encode(self._jwk().thumbprint()).rstrip(b'=').decode()}"
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()

    def key_authorization(self, token: str) -> str:
        """The content of an http-01 response: RFC 8555 section 8.1."""
        return f"{token}.{base64.urlsafe_b64encode(self._jwk().thumbprint()).rstrip(b'=').decode()}"

    # --- on the thread -------------------------------------------------------------------------------------------

    async def _call(self, operation: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, operation)

    def _guarded(self, operation: Callable[[], Answer]) -> Answer:
        """Runs an operation, and converts the libraries' exceptions. Raises `AcmeError`, `AcmeUnreachable`."""
        import requests
        from acme import errors, messages
        from josepy.errors import Error as JoseError

        try:
            self._connect()
            for _ in range(MOST_NONCE_RETRIES):
                try:
                    return operation()
                except messages.Error as error:
                    # The client retries a refused nonce only once.
                    if error.code != "badNonce":
                        raise
            return operation()
        except messages.Error as error:
            raise _acme_error(error, self._status) from None
        except requests.RequestException as error:
            raise AcmeUnreachable(_network_text(error, self.directory_url)) from None
        except (errors.Error, JoseError, ValueError, KeyError, AttributeError) as error:
            reason = str(error) or type(error).__name__
            raise AcmeUnreachable(f"{self.directory_url}: not an answer of an ACME server: {reason}") from None

    def _connect(self) -> None:
        if self._directory is not None:
            return
        from acme.client import ClientNetwork, ClientV2

        if self._network is None:
            verify: Any = not self.trust.skip_verification
            if verify and self.trust.bundle is not None:
                verify = str(self.trust.bundle)
            self._network = ClientNetwork(
                self._jwk(), verify_ssl=verify, user_agent=f"lockgate/{__version__}", timeout=HTTP_TIMEOUT
            )
            self._network.session.trust_env = not self.trust.local
            self._network.session.hooks["response"].append(self._note_status)
        directory = ClientV2.get_directory(self.directory_url, self._network)
        if not directory["newOrder"]:
            raise KeyError("newOrder")
        self._directory = directory

    def _note_status(self, response: Any, *_: Any, **__: Any) -> None:
        self._status = response.status_code

    def _jwk(self) -> Any:
        from josepy.jwk import JWKRSA

        return JWKRSA(key=self.key)

    def _register(self, email: str, external_account: tuple[str, str] | None) -> str:
        from acme import errors, messages
        from acme.client import ClientV2

        client = ClientV2(self._directory, self._network)
        binding = None
        if external_account is not None:
            key_id, hmac_key = external_account
            binding = messages.ExternalAccountBinding.from_data(
                self._jwk().public_key(), key_id, hmac_key, self._directory
            )
        registration = messages.NewRegistration.from_data(
            email=email.lower() or None, terms_of_service_agreed=True, external_account_binding=binding
        )
        self._network.account = None
        try:
            registered = client.new_account(registration)
        except errors.ConflictError as existing:
            uri = str(existing.location)
            self._network.account = {"uri": uri}
            if email:
                self._post(uri, {"contact": [f"mailto:{email.lower()}"]})
        else:
            uri = str(registered.uri)
        self.uri = uri
        return uri

    def _post(self, url: str, document: dict[str, Any] | None = None) -> Any:
        """Signed by the account; POST-as-GET without a document."""
        self._network.account = {"uri": self.uri}
        body = None if document is None else _Body(document)
        return self._network.post(url, body, new_nonce_url=self._directory["newNonce"])

    def _certificate(self, url: str, preferred_chain: str) -> bytes:
        response = self._post(url)
        chain: bytes = response.content
        if not preferred_chain or _is_under(chain, preferred_chain):
            return chain
        for link in _links(response.headers.get("Link", ""), "alternate"):
            alternate: bytes = self._post(link).content
            if _is_under(alternate, preferred_chain):
                return alternate
        return chain


class _Body:
    """A request's payload of any shape, since the client's messages lack members such as `notAfter` and `replaces`."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def json_dumps(self, **_: Any) -> str:
        return json.dumps(self._document)


def _order(response: Any, url: str = "") -> OrderAnswer:
    document = response.json()
    return OrderAnswer(
        url=url or response.headers.get("Location", ""),
        status=document["status"],
        finalize=document["finalize"],
        authorizations=tuple(document["authorizations"]),
        certificate=document.get("certificate", ""),
        error=_problem_text(document.get("error")),
    )


def _authorization(url: str, document: dict[str, Any]) -> AuthorizationAnswer:
    return AuthorizationAnswer(
        url=url,
        identifier=document["identifier"]["value"],
        wildcard=bool(document.get("wildcard", False)),
        status=document["status"],
        challenges=tuple(
            ChallengeAnswer(
                url=each["url"],
                token=each.get("token", ""),
                type=each["type"],
                status=each.get("status", "pending"),
                error=_problem_text(each.get("error")),
            )
            for each in document["challenges"]
        ),
    )


def _problem_text(problem: dict[str, Any] | None) -> str:
    if not problem:
        return ""
    return f"{problem.get('status', 403)} {problem.get('type', 'about:blank')}: {problem.get('detail', '')}"


def _acme_error(error: Any, status: int) -> AcmeError:
    subproblems = [
        f"{each.typ}: [{each.identifier.typ}: {each.identifier.value}] {each.detail}"
        if each.identifier
        else f"{each.typ}: {each.detail}"
        for each in error.subproblems or ()
    ]
    return AcmeError(status or 400, error.typ or "about:blank", error.detail or "", subproblems)


def _network_text(error: Exception, url: str) -> str:
    """The innermost cause, which is one line; requests wraps it three times."""
    cause: BaseException = error
    while True:
        inner = getattr(cause, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((each for each in cause.args if isinstance(each, BaseException)), None)
        if inner is None or inner is cause:
            break
        cause = inner
    text = str(cause).rpartition(": ")[2] if "object at 0x" in str(cause) else str(cause)
    request = getattr(error, "request", None)
    return f'Get "{getattr(request, "url", None) or url}": {text or type(cause).__name__}'


def _is_under(chain: bytes, issuer: str) -> bool:
    """Whether the last certificate of a chain was issued by a CA of this common name."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        last = x509.load_pem_x509_certificates(chain)[-1]
    except ValueError:
        return False
    return any(attribute.value == issuer for attribute in last.issuer.get_attributes_for_oid(NameOID.COMMON_NAME))


def _links(header: str, relation: str) -> list[str]:
    from requests.utils import parse_header_links

    return [each["url"] for each in parse_header_links(header) if each.get("rel") == relation] if header else []
