"""A user pool of Amazon Cognito is an OpenID Connect provider whose endpoints follow from the pool's ARN and domain.

Source: Amazon Cognito Developer Guide, "Managed login endpoints reference" and "Verifying JSON web tokens".
"""

from __future__ import annotations

import re
from typing import Final

from lockgate.loadbalancer.model import AuthenticateCognito, AuthenticateOidc

POOL: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):cognito-idp:(?P<region>[a-z0-9-]+):\d{12}:userpool/(?P<id>[\w-]+_[0-9A-Za-z]+)"
)


def as_oidc(action: AuthenticateCognito, client_secret: str) -> AuthenticateOidc | None:
    """The equivalent OIDC action, or None if the user pool's ARN is not valid."""
    pool = POOL.fullmatch(action.user_pool_arn)
    if pool is None:
        return None
    host = domain(action.user_pool_domain, pool["region"])
    suffix = "amazonaws.com.cn" if pool["partition"] == "aws-cn" else "amazonaws.com"
    return AuthenticateOidc(
        issuer=f"https://cognito-idp.{pool['region']}.{suffix}/{pool['id']}",
        authorization_endpoint=f"https://{host}/oauth2/authorize",
        token_endpoint=f"https://{host}/oauth2/token",
        user_info_endpoint=f"https://{host}/oauth2/userInfo",
        client_id=action.user_pool_client_id,
        client_secret=client_secret,
        session_cookie_name=action.session_cookie_name,
        scope=action.scope,
        session_timeout=action.session_timeout,
        extra_parameters=action.extra_parameters,
        on_unauthenticated_request=action.on_unauthenticated_request,
    )


def domain(name: str, region: str) -> str:
    """The host of a user pool's domain. A prefix is a subdomain of Cognito's; a name with a dot is a custom domain."""
    return name if "." in name else f"{name}.auth.{region}.amazoncognito.com"
