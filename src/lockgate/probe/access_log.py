"""Finds a request in the access log that its load balancer writes to S3, by the trace ID, which is kept.

AWS writes an object every five minutes, and each load balancer address has its own.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Final

from lockgate.controllers.aws import Aws
from lockgate.loadbalancer.access_log_fields import fields
from lockgate.probe.evidence import Balancer

_FIRST_PAUSE: Final = 1.0  # seconds between two listings,
_LAST_PAUSE: Final = 15.0  # which grow to this
_LARGEST: Final = 64 * 1024 * 1024  # bytes of an object, unpacked
_SKEW: Final = timedelta(seconds=60)  # between the clocks of AWS and of this machine


def is_on(balancer: Balancer) -> bool:
    return balancer.attributes.get("access_logs.s3.enabled") == "true"


async def logged(
    aws: Aws, balancer: Balancer, trace_id: str, since: datetime, within: float
) -> Mapping[str, str] | None:
    """The fields of the request's line; None if no object has it after `within` seconds. Raises `AwsError`."""
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + within, _FIRST_PAUSE
    bucket, read = balancer.attributes.get("access_logs.s3.bucket", ""), set[str]()
    while True:
        for prefix in _prefixes(balancer, since, datetime.now(UTC)):
            for each in await aws.list("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix):
                if each["Key"] in read or each["LastModified"] < since - _SKEW:
                    continue
                read.add(each["Key"])
                answer = await aws.call("s3", "get_object", Bucket=bucket, Key=each["Key"])
                text = await asyncio.to_thread(_text, answer["Body"])
                line = next((line for line in text.splitlines() if trace_id in line), None)
                if line is not None:
                    return fields(line)
        if loop.time() + pause > end:
            return None
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LAST_PAUSE)


def _prefixes(balancer: Balancer, since: datetime, now: datetime) -> Iterator[str]:
    """Of the objects of one load balancer, from the day of the request on."""
    _, _, _, region, account, resource = balancer.arn.split(":", 5)
    prefix = balancer.attributes.get("access_logs.s3.prefix", "")
    name = resource.partition("loadbalancer/")[2].replace("/", ".")
    for day in dict.fromkeys((since.date(), now.date())):
        folder = f"AWSLogs/{account}/elasticloadbalancing/{region}/{day:%Y/%m/%d}"
        stem = f"{account}_elasticloadbalancing_{region}_{name}_"
        yield "/".join(part for part in (prefix, folder, stem) if part)


def _text(body: Any) -> str:
    """An object that is no gzip, or is too large, has no lines."""
    packed = body.read()
    try:
        unpacked = gzip.GzipFile(fileobj=BytesIO(packed)).read(_LARGEST)
    except (OSError, EOFError, zlib.error):
        return ""
    return unpacked.decode("utf-8", "replace")
