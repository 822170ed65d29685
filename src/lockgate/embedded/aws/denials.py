"""The errors of each AWS service for requests whose credentials are not accepted.

Sources: IAM User Guide, "Troubleshoot Signature Version 4 signing"; the services' pages on common errors; Amazon S3 API
Reference, "Error responses".
"""

from __future__ import annotations

from enum import Enum, auto

from lockgate.embedded.aws.protocol import Refusal


class Cause(Enum):
    NO_CREDENTIALS = auto()
    INCOMPLETE = auto()  # a part of the signature is missing or does not parse
    BAD_QUERY = auto()  # the same for a presigned URL
    UNKNOWN_KEY = auto()
    BAD_TOKEN = auto()  # the session token is missing, or belongs to another key
    EXPIRED_TOKEN = auto()
    SKEWED = auto()  # signed too long ago, or in the future
    OVER = auto()  # a presigned URL has expired
    NOT_SIGNED = auto()  # a header that must be signed is not
    MISMATCH = auto()


_INVALID = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_Wording = tuple[str, int, str]  # code, status, text; if the text is empty, the cause's own text is used

_QUERY: dict[Cause, _Wording] = {
    Cause.NO_CREDENTIALS: ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
    Cause.INCOMPLETE: ("IncompleteSignature", 400, ""),
    Cause.BAD_QUERY: ("IncompleteSignature", 400, ""),
    Cause.UNKNOWN_KEY: ("InvalidClientTokenId", 403, _INVALID),
    Cause.BAD_TOKEN: ("InvalidClientTokenId", 403, _INVALID),
    Cause.EXPIRED_TOKEN: ("ExpiredToken", 403, _EXPIRED),
    Cause.SKEWED: ("SignatureDoesNotMatch", 403, ""),
    Cause.OVER: ("SignatureDoesNotMatch", 403, ""),
    Cause.NOT_SIGNED: ("SignatureDoesNotMatch", 403, ""),
    Cause.MISMATCH: ("SignatureDoesNotMatch", 403, ""),
}
_EC2: dict[Cause, _Wording] = {
    **_QUERY,
    Cause.UNKNOWN_KEY: ("AuthFailure", 401, "AWS was not able to validate the provided access credentials"),
    Cause.BAD_TOKEN: ("AuthFailure", 401, "AWS was not able to validate the provided access credentials"),
    Cause.EXPIRED_TOKEN: ("RequestExpired", 400, "Request has expired."),
    Cause.SKEWED: ("RequestExpired", 400, "Request has expired."),
    Cause.OVER: ("RequestExpired", 400, "Request has expired."),
}
_JSON: dict[Cause, _Wording] = {
    Cause.NO_CREDENTIALS: ("MissingAuthenticationTokenException", 400, "Missing Authentication Token"),
    Cause.INCOMPLETE: ("IncompleteSignatureException", 400, ""),
    Cause.BAD_QUERY: ("IncompleteSignatureException", 400, ""),
    Cause.UNKNOWN_KEY: ("UnrecognizedClientException", 400, _INVALID),
    Cause.BAD_TOKEN: ("UnrecognizedClientException", 400, _INVALID),
    Cause.EXPIRED_TOKEN: ("ExpiredTokenException", 400, _EXPIRED),
    Cause.SKEWED: ("InvalidSignatureException", 400, ""),
    Cause.OVER: ("InvalidSignatureException", 400, ""),
    Cause.NOT_SIGNED: ("InvalidSignatureException", 400, ""),
    Cause.MISMATCH: ("InvalidSignatureException", 400, ""),
}
_S3: dict[Cause, _Wording] = {
    Cause.NO_CREDENTIALS: ("AccessDenied", 403, "Access Denied"),
    Cause.INCOMPLETE: ("AuthorizationHeaderMalformed", 400, ""),
    Cause.BAD_QUERY: ("AuthorizationQueryParametersError", 400, ""),
    Cause.UNKNOWN_KEY: (
        "InvalidAccessKeyId",
        403,
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    Cause.BAD_TOKEN: ("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
    Cause.EXPIRED_TOKEN: ("ExpiredToken", 400, "The provided token has expired."),
    Cause.SKEWED: (
        "RequestTimeTooSkewed",
        403,
        "The difference between the request time and the current time is too large.",
    ),
    Cause.OVER: ("AccessDenied", 403, "Request has expired"),
    Cause.NOT_SIGNED: ("AccessDenied", 403, "There were headers present in the request which were not signed"),
    Cause.MISMATCH: ("SignatureDoesNotMatch", 403, ""),
}
_OF_SERVICE = {
    "acm": _JSON,
    "cognito-idp": _JSON,
    "ec2": _EC2,
    "eks": _JSON,
    "s3": _S3,
    "shield": _JSON,
    "wafv2": _JSON,
}


_ACCESS_DENIED = {"acm": "AccessDeniedException", "ec2": "UnauthorizedOperation", "eks": "AccessDeniedException"}
_STATUS = {"AccessDenied": 403, "InternalFailure": 500, "ServiceUnavailable": 503}


def injected(service: str, operation: str, code: str, account: str) -> Refusal:
    """An error that a rule of `embedded.faults` asks for. AccessDenied has the text of a policy without the action."""
    if code == "AccessDenied":
        action = f"{'elasticloadbalancing' if service == 'elbv2' else service}:{operation}"
        text = (
            f"User: arn:aws:iam::{account}:user/lockgate is not authorized to perform: {action} on resource: * "
            f"because no identity-based policy allows the {action} action"
        )
        return Refusal(_ACCESS_DENIED.get(service, code), text, 403)
    text = "Rate exceeded" if "Throttl" in code else f"A rule of --fail asks for this {code}."
    return Refusal(code, text, _STATUS.get(code, 400))


def refusal(service: str, cause: Cause, text: str = "") -> Refusal:
    """`service` is a signing name. An unknown one gets the errors of the query services."""
    code, status, own = _OF_SERVICE.get(service, _QUERY)[cause]
    return Refusal(code, own or text, status)
