"""Error reason codes of access logs for authentication, WAF and Lambda functions, and the status that the client gets.

Source: "Access logs for your Application Load Balancer", "Error reason codes"; "Troubleshoot your Application Load
Balancers" for statuses. If neither gives a status for a code, it is 401 for a code that counts as ELBAuthFailure (an
invalid response from the client or the provider), and 502 for a Lambda function.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

HEADER: Final = "x-lockgate-error-reason"  # in responses of Lockgate's services; removed before the client's response

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

WAF_SECONDS: Final = 5  # time limit of a WAF call


def waf_reason(microseconds: int, received_bytes: int) -> WafReason:
    """The reason why a WAF call failed, from its duration and the bytes received."""
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
    """The CloudWatch metric that counts it."""
    if reason == "AuthUserinfoResponseSizeExceeded":
        return "ELBAuthUserClaimsSizeExceeded"
    return "ELBAuthError" if reason in _ERRORS else "ELBAuthFailure"


def lambda_metric(reason: LambdaReason) -> str:
    return "LambdaInternalError" if reason in _INTERNAL else "LambdaUserError"


def status_of(reason: AuthReason) -> int:
    return _NOT_401.get(reason, 401)


def lambda_status(reason: LambdaReason) -> int:
    return _NOT_502.get(reason, 502)
