"""Clients that come back from an identity provider: who is let in, and why others are not."""

from __future__ import annotations

import pytest

from lockgate.loadbalancer.sessions import Login, login_failure, open_login, open_session, seal

LOGIN = Login("rule", "/a", "nonce", began=1000.0)
KEY, NONCE = b"k" * 32, b"n" * 12


@pytest.mark.parametrize(
    ("values", "nonce", "login", "now", "failure"),
    [
        ({"code": "c", "state": "s"}, "nonce", LOGIN, 1000.0, None),
        ({"code": "c", "state": "s"}, "nonce", LOGIN, 1900.0, None),
        ({"code": "c", "state": "s"}, "nonce", LOGIN, 1900.1, (401, "AuthInvalidStateParam")),  # 15 minutes are over
        ({"code": "c", "state": "s"}, "nonce", None, 1000.0, (401, "AuthInvalidStateParam")),
        ({"code": "c"}, "nonce", LOGIN, 1000.0, (401, "AuthMissingStateParam")),
        ({"code": "c", "state": "s"}, None, LOGIN, 1000.0, (401, "AuthMissingAWSALBAuthNonce")),
        ({"code": "c", "state": "s"}, "another", LOGIN, 1000.0, (401, "AuthInvalidAWSALBAuthNonce")),
        ({"state": "s"}, "nonce", LOGIN, 1000.0, (401, "AuthMissingCodeParam")),
        ({"state": "s", "error": "access_denied"}, "nonce", LOGIN, 1000.0, (401, "AuthMissingCodeParam")),
        ({"state": "s", "error": "server_error"}, "nonce", LOGIN, 1000.0, (561, "AuthMissingCodeParam")),
    ],
)
def test_who_comes_back(
    values: dict[str, str], nonce: str | None, login: Login | None, now: float, failure: tuple[int, str] | None
) -> None:
    assert login_failure(values, nonce, login, now) == failure


def test_what_was_sealed_opens_with_its_key_and_as_what_it_was() -> None:
    sealed = seal(LOGIN, KEY, NONCE)
    assert open_login(sealed, KEY) == LOGIN
    assert open_session(sealed, KEY) is None
    assert open_login(sealed, b"x" * 32) is None
    for broken in ("", "x", sealed[:-8], sealed[4:], sealed.swapcase()):
        assert open_login(broken, KEY) is None
