"""What a Secret must hold to serve, and what is said where it does not."""

from __future__ import annotations

import pytest
from gateway_envoy import key_pair

from lockgate.gateway.credentials import Authority, KeyPair, credential, secret_names

PAIR, OTHER = key_pair("a.example"), key_pair("b.example")


def test_generic_keys_go_before_tls_keys() -> None:
    data = {"cert": PAIR.chain, "key": PAIR.key, "tls.crt": OTHER.chain, "tls.key": OTHER.key}
    assert credential(data, "kubernetes://x") == PAIR


def test_an_ocsp_staple_comes_along() -> None:
    data = {"tls.crt": PAIR.chain, "tls.key": PAIR.key, "tls.ocsp-staple": b"der"}
    assert credential(data, "kubernetes://x") == KeyPair(PAIR.chain, PAIR.key, b"der")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"password": b"x", "user": b"y"}, "expected keys .* found: password, user"),
        ({}, "found: nothing"),
        ({"tls.crt": b"", "tls.key": b""}, 'found keys "tls.crt" and "tls.key", but they were empty'),
        ({"tls.crt": b"words", "tls.key": PAIR.key}, "the certificate is not readable PEM"),
        ({"tls.crt": PAIR.chain, "tls.key": b"words"}, "the private key is not a readable PEM key"),
        ({"tls.crt": PAIR.chain, "tls.key": OTHER.key}, "does not belong to the certificate"),
    ],
)
def test_what_cannot_serve_is_refused_with_the_reason(data: dict[str, bytes], reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        credential(data, "kubernetes://x")
    assert PAIR.key.decode() not in str(refused.value)


def test_an_authority_is_cacert_or_else_ca_crt() -> None:
    assert credential({"ca.crt": PAIR.chain, "ca.crl": b"crl"}, "kubernetes://x-cacert") == Authority(
        PAIR.chain, b"crl"
    )
    assert credential({"cacert": OTHER.chain, "ca.crt": PAIR.chain}, "kubernetes://x-cacert") == Authority(OTHER.chain)
    with pytest.raises(ValueError, match="expected keys cacert"):
        credential({"tls.crt": PAIR.chain}, "kubernetes://x-cacert")


def test_the_secret_of_a_name() -> None:
    assert secret_names("kubernetes://x", {}) == ("x",)
    assert secret_names("kubernetes://x-cacert", {}) == ("x-cacert", "x")


def test_keys_do_not_show() -> None:
    assert "PRIVATE" not in repr(PAIR)


def test_files_of_the_pod_are_the_secrets_that_are_mounted_there() -> None:
    mounts = {"/etc/istio/ingressgateway-certs": "istio-ingressgateway-certs"}
    name = "file-cert:/etc/istio/ingressgateway-certs/tls.crt~/etc/istio/ingressgateway-certs/tls.key"
    assert secret_names(name, mounts) == ("istio-ingressgateway-certs",)
    assert secret_names("file-root:/elsewhere/ca.crt", mounts) == ()
    assert credential({"tls.crt": PAIR.chain, "tls.key": PAIR.key}, name) == PAIR
    assert credential({"ca.pem": PAIR.chain}, "file-root:/x/ca.pem") == Authority(PAIR.chain)
    with pytest.raises(ValueError, match=r"it has no tls\.key"):
        credential({"tls.crt": PAIR.chain}, name)
