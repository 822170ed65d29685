"""Where the endpoints of a user pool are."""

from __future__ import annotations

import pytest

from lockgate.loadbalancer.cognito import as_oidc
from lockgate.loadbalancer.model import AuthenticateCognito

POOL = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Ab1Cd2Ef3"
CHINA = "arn:aws-cn:cognito-idp:cn-north-1:123456789012:userpool/cn-north-1_Ab1Cd2Ef3"


@pytest.mark.parametrize(
    ("pool", "domain", "issuer", "host"),
    [
        (POOL, "quay", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab1Cd2Ef3",
         "quay.auth.eu-west-1.amazoncognito.com"),
        (POOL, "id.quay.example", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab1Cd2Ef3", "id.quay.example"),
        (CHINA, "id.quay.example", "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_Ab1Cd2Ef3",
         "id.quay.example"),
    ],
)  # fmt: skip
def test_a_user_pool_is_a_provider_at_known_addresses(pool: str, domain: str, issuer: str, host: str) -> None:
    action = AuthenticateCognito(pool, "web", domain, scope="openid email", extra_parameters={"lang": "nl"})
    found = as_oidc(action, "secret")
    assert found is not None
    assert (found.issuer, found.client_id, found.client_secret) == (issuer, "web", "secret")
    assert (found.scope, found.extra_parameters) == ("openid email", {"lang": "nl"})
    assert found.authorization_endpoint == f"https://{host}/oauth2/authorize"
    assert found.token_endpoint == f"https://{host}/oauth2/token"
    assert found.user_info_endpoint == f"https://{host}/oauth2/userInfo"


def test_what_is_no_user_pool_has_none() -> None:
    assert as_oidc(AuthenticateCognito("arn:pool", "web", "quay"), "secret") is None
