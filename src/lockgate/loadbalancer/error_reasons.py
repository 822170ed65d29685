"""Why a request could not be authenticated, not be held against a web ACL, or not be answered by a Lambda function, in
the words of access logs, and what a client is answered then.

Source: "Access logs for your Application Load Balancer", "Error reason codes"; "Troubleshoot your Application Load
Balancers" for statuses. Where neither says which goes with a code, it is 401 if the code counts as ELBAuthFailure (what
the client or the provider brought was not good), and 502 for a Lambda function.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

HEADER: Final = "x-lockgate-error-reason"  # of answers of our own services; no client gets to see it

AuthReason: TypeAlias = Literal[
    "AuthInvalidAWSALBAuthNonce",
    "AuthInvalidCookie",
    "AuthInvalidGrantError",
    "AuthInvalidIdToken",
    "AuthInvalidStateParam",
    "AuthInvalidTokenResponse",
    "AuthInvalidUserinfoResponse",
    "AuthMissingAWSALBAuthNonce",
    "AuthMissingCodeParam",
    "AuthMissingHostHeader",
    "AuthMissingStateParam",
    "AuthTokenEpRequestFailed",
    "AuthTokenEpRequestTimeout",
    "AuthUnhandledException",
    "AuthUserinfoEpRequestFailed",
    "AuthUserinfoEpRequestTimeout",
    "AuthUserinfoResponseSizeExceeded",
]

_NOT_401: Final[Mapping[AuthReason, int]] = MappingProxyType(
    {
        "AuthTokenEpRequestFailed": 561,  # observed: a wrong client secret
        "AuthUserinfoEpRequestFailed": 561,
        "AuthTokenEpRequestTimeout": 500,
        "AuthUserinfoEpRequestTimeout": 500,
        "AuthUserinfoResponseSizeExceeded": 500,
        "AuthUnhandledException": 500,
    }
)


LambdaReason: TypeAlias = Literal[
    "LambdaAccessDenied",
    "LambdaBadRequest",
    "LambdaConnectionTimeout",
    "LambdaInvalidResponse",
    "LambdaRequestTooLarge",
    "LambdaResourceNotFound",
    "LambdaResponseTooLarge",
    "LambdaServiceException",
    "LambdaThrottling",
    "LambdaUnhandled",
    "LambdaUnhandledException",
]

_NOT_502: Final[Mapping[LambdaReason, int]] = MappingProxyType(
    {"LambdaBadRequest": 400, "LambdaRequestTooLarge": 413, "LambdaConnectionTimeout": 504}
)


WafReason: TypeAlias = Literal["WAFConnectionError", "WAFResponseReadTimeout", "WAFServiceError"]

WAF_SECONDS: Final = 5  # that WAF may take


def waf_reason(microseconds: int, received_bytes: int) -> WafReason:
    """Of a WAF that was asked in vain: how long it took, and what came of it."""
    if microseconds >= WAF_SECONDS * 1_000_000:
        return "WAFResponseReadTimeout"
    return "WAFServiceError" if received_bytes else "WAFConnectionError"


_ERRORS: Final[frozenset[AuthReason]] = frozenset(
    {
        "AuthMissingHostHeader",
        "AuthTokenEpRequestFailed",
        "AuthTokenEpRequestTimeout",
        "AuthUnhandledException",
        "AuthUserinfoEpRequestFailed",
        "AuthUserinfoEpRequestTimeout",
    }
)
_INTERNAL: Final[frozenset[LambdaReason]] = frozenset(
    {"LambdaConnectionTimeout", "LambdaServiceException", "LambdaUnhandledException"}
)


def auth_metric(reason: AuthReason) -> str:
    """What CloudWatch counts it as."""
    if reason == "AuthUserinfoResponseSizeExceeded":
        return "ELBAuthUserClaimsSizeExceeded"
    return "ELBAuthError" if reason in _ERRORS else "ELBAuthFailure"


def lambda_metric(reason: LambdaReason) -> str:
    return "LambdaInternalError" if reason in _INTERNAL else "LambdaUserError"


def status_of(reason: AuthReason) -> int:
    return _NOT_401.get(reason, 401)


def lambda_status(reason: LambdaReason) -> int:
    return _NOT_502.get(reason, 502)
