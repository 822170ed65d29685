"""The services that moto implements. Its response classes are called directly, without its Flask server.

moto's state belongs to the process, per account and region. Its classes are not thread-safe, so `AwsApi` makes one call
at a time.
"""

from __future__ import annotations

import logging
from typing import Any

from lockgate.embedded.aws.moto_import import load
from lockgate.embedded.aws.protocol import HttpAnswer, HttpRequest, Refusal, moto_request

log = logging.getLogger("lockgate.embedded.aws")

SERVICES = ("cognito-idp", "ec2", "iam", "s3", "shield", "wafv2")

JSON = ("cognito-idp", "shield", "wafv2")


def reset(account: str, region: str) -> None:
    """Clears all state. Until `randomise`, IDs are derived from account and region."""
    load()
    from moto.core.base_backend import BackendDict
    from moto.ec2.models.subnets import Subnet
    from moto.moto_api._internal import mock_random

    services: Any = BackendDict
    for service in services._instances:
        for backends in service.values():
            backends.clear()  # not reset, which creates EC2's images again: 40 ms and 4 MB
    services.reset()
    subnets: Any = Subnet
    subnets._base_avail_ip_iterator.cache_clear()  # keyed by subnet, so it would keep all of EC2 alive
    mock_random.seed(f"{account}/{region}")


def randomise() -> None:
    """Makes IDs random from now on, among them those of temporary access keys."""
    from moto.moto_api._internal import mock_random

    mock_random.seed()


def answer(service: str, region: str, account: str, request: HttpRequest) -> HttpAnswer:
    """Raises `Refusal` for operations that moto lacks. moto's own errors are returned as answers."""
    load()
    sent = moto_request(service, region, request)
    sent.environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    try:
        status, headers, body = _dispatch(service, request.path)(sent, sent.url, sent.headers)
    except NotImplementedError as error:
        raise Refusal("NotImplemented", f"This operation of {service} is not served here: {error}") from error
    except Exception as error:
        if (described := _described(error)) is not None:
            raise described from error
        # The model allows the input, but moto failed: it does not check some names, tokens and formats. AWS answers
        # such requests with 4xx.
        log.warning("moto failed at a request to %s: %r", service, error)
        log.debug("moto's failure", exc_info=error)
        text = f"The request could not be carried out with this input ({type(error).__name__}: {error})"
        raise Refusal(_UNUSABLE.get(service, "InvalidParameterValue"), text) from error
    kept = {str(key).lower(): str(value) for key, value in headers.items() if str(key).lower() != "status"}
    kept.pop("content-length", None)
    kept.setdefault("content-type", "application/x-amz-json-1.1" if service in JSON else "text/xml")
    return HttpAnswer(int(status), tuple(kept.items()), body if isinstance(body, bytes) else str(body).encode())


_UNUSABLE = {
    "cognito-idp": "InvalidParameterException",
    "s3": "InvalidArgument",
    "shield": "InvalidParameterException",
    "wafv2": "WAFInvalidParameterException",
}


def stored_object(account: str, bucket: str, key: str) -> bytes | None:
    """The content of an object in S3."""
    load()
    from moto.s3.models import s3_backends

    backend = s3_backends[account]["aws"]
    found = backend.buckets[bucket].keys.get(key) if bucket in backend.buckets else None
    return None if found is None else bytes(found.value)


def deliver(account: str, bucket: str, key: str, content: bytes, instead_of: str) -> bool:
    """Puts an object into a bucket of the account, if there is one, and deletes another (its key, or "")."""
    load()
    from moto.s3.models import s3_backends

    backend = s3_backends[account]["aws"]
    if bucket not in backend.buckets:
        return False
    backend.put_object(bucket, key, content)
    if instead_of:
        backend.delete_object(bucket, instead_of)
    return True


def keep_object(bucket: str, key: str, content: bytes, region: str) -> None:
    """In a bucket that belongs to AWS: it is in no account's list, and can be read by presigned URL."""
    load()
    from moto.s3.models import s3_backends

    backend = s3_backends[_AWS_OWN]["aws"]
    if bucket not in backend.buckets:
        backend.create_bucket(bucket, region)
    backend.put_object(bucket, key, content)


_AWS_OWN = "127311923021"  # Elastic Load Balancing's account ID, from the user guide, "Access logs"


def _dispatch(service: str, path: str) -> Any:
    match service:
        case "cognito-idp":
            from moto.cognitoidp.responses import CognitoIdpResponse

            return CognitoIdpResponse.dispatch
        case "ec2":
            from moto.ec2.responses import EC2Response

            return EC2Response.dispatch
        case "iam":
            from moto.iam.responses import IamResponse

            return IamResponse.dispatch
        case "shield":
            from moto.shield.responses import ShieldResponse

            return ShieldResponse.dispatch
        case "s3":
            from moto.s3.responses import S3Response

            bucket, _, key = path.lstrip("/").partition("/")  # clients use path style if the endpoint is an IP address
            if key:
                return S3Response.key_dispatch
            return S3Response.ambiguous_dispatch if bucket else S3Response.bucket_dispatch
        case _:
            from moto.wafv2.responses import WAFV2Response

            return WAFV2Response.dispatch


def _described(error: Exception) -> Refusal | None:
    """moto's exceptions that its own dispatch does not catch."""
    code = getattr(error, "error_type", None) or getattr(error, "code", None)
    message = getattr(error, "message", None)
    if isinstance(code, str) and isinstance(message, str):
        return Refusal(code, message)
    return None
