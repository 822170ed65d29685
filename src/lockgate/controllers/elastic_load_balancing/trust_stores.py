"""Reads the CA certificates and CRLs of a trust store, for which the API returns only URLs."""

from __future__ import annotations

import logging
from base64 import b64encode

from lockgate.controllers.aws import Aws, AwsError

log = logging.getLogger("lockgate.elastic_load_balancing")


async def trust_store(aws: Aws, arn: str) -> tuple[str, str] | None:
    """A trust store's CA certificates and CRLs as PEM; None if it cannot be read."""
    try:
        answer = await aws.call("elbv2", "get_trust_store_ca_certificates_bundle", TrustStoreArn=arn)
        authorities = await _fetch(answer["Location"])
        lists = await aws.list("elbv2", "describe_trust_store_revocations", "TrustStoreRevocations", TrustStoreArn=arn)
        revocations = []
        for each in lists:
            answer = await aws.call(
                "elbv2",
                "get_trust_store_revocation_content",
                TrustStoreArn=arn,
                RevocationId=each["RevocationId"],
            )
            revocations.append(_crl_as_pem(await _fetch(answer["Location"])))
    except (AwsError, OSError) as error:
        log.warning("cannot read trust store %s: %s", arn, error)
        return None
    return authorities.decode(), "".join(revocations)


async def _fetch(url: str) -> bytes:
    """The content of the API's URL, such as an object in S3. Raises `OSError`."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.get(url)
            return answer.raise_for_status().content
    except httpx.HTTPError as error:
        raise OSError(f"{url}: {error}") from error


def _crl_as_pem(content: bytes) -> str:
    if content.lstrip().startswith(b"-----"):
        return content.decode()
    body = b64encode(content).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN X509 CRL-----\n{lines}\n-----END X509 CRL-----\n"
