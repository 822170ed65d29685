"""Rules that authenticate, in a running edge: made by annotations, met with curl and a real provider over TLS."""

from __future__ import annotations

import json
import ssl
import threading
import time
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from lockgate.certificates.authority import Authority, Content
from lockgate.certificates.keys import encode_key
from tests.edge.conftest import Start, Up

pytestmark = pytest.mark.edge

ARN = "arn:aws:acm:eu-central-1:210987654321:certificate/0c0ffee0-1234-1234-1234-123456789012"
CLIENT = ("lockgate", "s3cret of the client")


class Provider:
    """An identity provider on loopback that lets everybody in at once, and checks who asks for tokens."""

    def __init__(self, folder: Path) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.forms: list[dict[str, str]] = []
        files, self.ca = _certificate(folder)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.post(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def keys(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        return {"keys": [{"kty": "RSA", "kid": "1", "n": _number(numbers.n), "e": _number(numbers.e)}]}

    def get(self, asked: BaseHTTPRequestHandler) -> None:
        url = urlsplit(asked.path)
        match url.path:
            case "/authorize":
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                back = urlencode({"code": "good", "state": query["state"]})
                asked.send_response(302)
                asked.send_header("Location", f"{query['redirect_uri']}?{back}")
                asked.end_headers()
            case "/userinfo" if asked.headers["authorization"] == "Bearer access":
                _say(asked, 200, {"sub": "user-1", "email": "ada@login.example"})
            case "/keys":
                _say(asked, 200, self.keys)
            case _:
                _say(asked, 401, {})

    def post(self, asked: BaseHTTPRequestHandler) -> None:
        body = asked.rfile.read(int(asked.headers["content-length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.forms.append(form)
        if (form.get("client_id"), form.get("client_secret")) != CLIENT or form.get("code") != "good":
            _say(asked, 401, {"error": "invalid_client"})
        else:
            _say(asked, 200, {"access_token": "access", "token_type": "Bearer", "expires_in": 3600})

    def token(self, **claims: Any) -> str:
        body = {"iss": self.url, "exp": time.time() + 600, **claims}
        parts = ({"alg": "RS256", "kid": "1"}, body)
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"


def _say(asked: BaseHTTPRequestHandler, status: int, answer: Any) -> None:
    text = json.dumps(answer).encode()
    asked.send_response(status)
    asked.send_header("Content-Length", str(len(text)))
    asked.end_headers()
    asked.wfile.write(text)


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _certificate(folder: Path) -> tuple[tuple[Path, Path], Path]:
    """Files: (chain, key) for 127.0.0.1, and the authority's certificate."""
    import datetime
    from ipaddress import ip_address

    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    until = now + datetime.timedelta(days=2)
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


def manifests(provider: Provider) -> list[dict[str, Any]]:
    """Two applications behind one load balancer: one for people who log in, one for programs with tokens."""
    shared = {
        "alb.ingress.kubernetes.io/group.name": "login",
        "alb.ingress.kubernetes.io/scheme": "internet-facing",
        "alb.ingress.kubernetes.io/target-type": "ip",
        "alb.ingress.kubernetes.io/listen-ports": '[{"HTTPS": 443}]',
        "alb.ingress.kubernetes.io/certificate-arn": ARN,
    }
    oidc = {
        "issuer": provider.url,
        "authorizationEndpoint": f"{provider.url}/authorize",
        "tokenEndpoint": f"{provider.url}/token",
        "userInfoEndpoint": f"{provider.url}/userinfo",
        "secretName": "client",
    }
    keys = {
        "type": "fixed-response",
        "fixedResponseConfig": {
            "statusCode": "200",
            "contentType": "application/json",
            "messageBody": json.dumps(provider.keys),
        },
    }
    near = {"jwksEndpoint": "https://keys.login.example/", "issuer": provider.url}
    jwt = {"jwksEndpoint": f"{provider.url}/keys", "issuer": provider.url}
    people = {
        "alb.ingress.kubernetes.io/auth-type": "oidc",
        "alb.ingress.kubernetes.io/auth-idp-oidc": json.dumps(oidc),
    }
    programs = {"alb.ingress.kubernetes.io/jwt-validation": json.dumps(jwt)}
    secret = dict(
        zip(("clientID", "clientSecret"), (b64encode(each.encode()).decode() for each in CLIENT), strict=True)
    )
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "client", "namespace": "default"}, "data": secret},
        _ingress_class(),
        _service(),
        _ingress("people", "people.login.example", shared | people),
        _ingress("programs", "programs.login.example", shared | programs),
        _ingress("near", "near.login.example", shared | {"alb.ingress.kubernetes.io/jwt-validation": json.dumps(near)}),
        _ingress("keys", "keys.login.example", shared | {"alb.ingress.kubernetes.io/actions.web": json.dumps(keys)}),
    ]


def _ingress_class() -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "alb"},
        "spec": {"controller": "ingress.k8s.aws/alb"},
    }


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }


def _ingress(name: str, host: str, annotations: dict[str, str]) -> dict[str, Any]:
    fixed = "alb.ingress.kubernetes.io/actions.web" in annotations
    backend = {"service": {"name": "web", "port": {"name": "use-annotation"} if fixed else {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"ingressClassName": "alb", "rules": [rule]},
    }


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    made = Provider(tmp_path_factory.mktemp("provider"))
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def login(up: Start, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("login")
    (folder / "login.yaml").write_text(yaml.safe_dump_all(manifests(provider)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(provider.ca))  # what this machine trusts, as far as the edge knows
        yield up(folder).ready()


def test_a_user_logs_in_through_the_edge_and_the_backend_is_told_who(
    login: Up, provider: Provider, tmp_path: Path
) -> None:
    jar = str(tmp_path / "jar")
    url = "https://people.login.example/a?b=c"
    began = login.curl("-i", "--suppress-connect-headers", url)
    assert " 302" in began.splitlines()[0]
    assert f"location: {provider.url}/authorize?client_id=lockgate&" in began.lower()

    told = json.loads(login.curl("-L", "-c", jar, "-b", jar, url))
    headers = dict(told["headers"])
    assert (told["path"], told["query"]) == ("/a", "b=c")
    assert headers["x-amzn-oidc-identity"] == "user-1"
    assert headers["x-amzn-oidc-accesstoken"] == "access"
    assert headers["x-amzn-oidc-data"].count(".") == 2
    assert provider.forms[-1]["redirect_uri"] == "https://people.login.example/oauth2/idpresponse"

    header, claims = (json.loads(urlsafe_b64decode(part)) for part in headers["x-amzn-oidc-data"].split(".")[:2])
    assert claims["email"] == "ada@login.example"
    key = login.curl(f"https://public-keys.auth.elb.eu-central-1.amazonaws.com/{header['kid']}")
    _verify(headers["x-amzn-oidc-data"], key)
    assert _status(login, "https://public-keys.auth.elb.eu-central-1.amazonaws.com/another") == "404"

    asked = len(provider.forms)
    again = login.curl("-i", "--suppress-connect-headers", "-b", jar, url)
    assert " 200" in again.splitlines()[0]
    assert len(provider.forms) == asked  # the session is in the cookies


def test_the_clients_secret_is_shown_by_no_api(login: Up) -> None:
    balancer = _aws(login, "describe-load-balancers")["LoadBalancers"][0]["LoadBalancerArn"]
    (listener,) = _aws(login, "describe-listeners", "--load-balancer-arn", balancer)["Listeners"]
    rules = _aws(login, "describe-rules", "--listener-arn", listener["ListenerArn"])
    assert "AuthenticateOidcConfig" in json.dumps(rules)
    assert CLIENT[1] not in json.dumps(rules) + login.log() + login.lockgate("status").stdout


def test_a_program_needs_a_token_that_the_provider_signed(login: Up, provider: Provider) -> None:
    url = "https://programs.login.example/"
    assert _status(login, url) == "401"
    assert _status(login, url, "-H", f"Authorization: Bearer {provider.token(iss='https://other.example')}") == "401"
    token = provider.token()
    told = json.loads(login.curl("-H", f"Authorization: Bearer {token}", url))
    assert dict(told["headers"])["authorization"] == f"Bearer {token}"


def test_a_provider_may_be_behind_the_edge_itself(login: Up, provider: Provider) -> None:
    url = "https://near.login.example/"
    assert _status(login, url, "-H", f"Authorization: Bearer {provider.token()}") == "200"
    assert _status(login, url, "-H", "Authorization: Bearer a.b.c") == "401"


def _verify(token: str, pem: str) -> None:
    """As a backend would. Raises `InvalidSignature`."""
    signed, _, signature = token.rpartition(".")
    raw = urlsafe_b64decode(signature)
    key = load_pem_public_key(pem.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(part, "big") for part in (raw[:32], raw[32:]))
    key.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))


def _aws(edge: Up, *arguments: str) -> Any:
    return json.loads(edge.exec("aws", "elbv2", *arguments, "--output", "json"))


def _status(edge: Up, url: str, *arguments: str) -> str:
    return edge.curl("-o", "/dev/null", "-w", "%{http_code}", *arguments, url)
