"""From records of requests to files, where something is odd; `tests/xds` has the lines of real requests."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate.controllers.elastic_load_balancing import access_logs
from lockgate.controllers.elastic_load_balancing.access_logs import AccessLogs
from lockgate.loadbalancer.model import LoadBalancer

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app"


def balancer(name: str, bucket: str, prefix: str) -> LoadBalancer:
    on = {"enabled": "true", "bucket": bucket, "prefix": prefix}
    attributes = {f"access_logs.s3.{key}": value for key, value in on.items()}
    return LoadBalancer(name, (), {}, arn=f"{ARN}/{name}/0123456789abcdef", attributes=attributes)


def record(of: LoadBalancer) -> str:
    reported = {"start": "2026-01-02T03:04:05.123456Z", "client": "127.0.0.1:50000", "listener_port": "80"}
    return json.dumps({"balancer": of.arn, **reported}) + "\n"


def written(folder: Path, *balancers: LoadBalancer) -> tuple[AccessLogs, list[str]]:
    """What comes of a record of each: the parts of the files' paths that attributes say."""
    logs = AccessLogs(folder / "logs", lambda: [(each, "127.0.0.1") for each in balancers])
    logs.records.parent.mkdir()
    logs.records.write_text("".join(map(record, balancers)))
    logs.collect()
    files = sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*.log"))
    return logs, [each.partition("/AWSLogs/")[0] for each in files]


@pytest.mark.parametrize(
    ("bucket", "prefix", "where"),
    [
        ("b", "", "logs/b"),
        ("b", "team/edge", "logs/b/team/edge"),
        ("b", "/edge/", "logs/b/edge"),
        ("../..", "../edge", "logs/edge"),
        ("", ".", "logs/logs"),
    ],
)
def test_no_bucket_or_prefix_leads_out_of_the_folder(tmp_path: Path, bucket: str, prefix: str, where: str) -> None:
    assert written(tmp_path, balancer("one", bucket, prefix))[1] == [where]


def test_a_log_that_cannot_be_written_is_reported_once_and_others_are_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long, good = balancer("long", "b", "x" * 300), balancer("good", "b", "good")
    logs, files = written(tmp_path, long, good)
    assert files == ["logs/b/good"]
    with logs.records.open("a") as file:
        file.write(record(long))
    logs.collect()
    assert [each.getMessage().rpartition(": ")[2] for each in caplog.records] == ["File name too long"]


def test_invalid_records_are_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_logs, "EVERY_SECONDS", 0.001)
    one = balancer("one", "b", "")

    def lines() -> int:
        return sum(len(file.read_text().splitlines()) for file in tmp_path.rglob("*.log"))

    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0.001)

    async def run() -> None:
        logs, _ = written(tmp_path, one)
        running = asyncio.create_task(logs.run())
        with logs.records.open("a") as file:
            file.write("".join(["5\n", "[]\n", "{\n", f"{'[' * 100_000}\n", record(one)]))
        await until(lambda: lines() == 2)
        with logs.records.open("a") as file:
            file.write(json.dumps({"balancer": one.arn}) + "\n")
        await until(lambda: "cannot read the records to log: KeyError('start')" in caplog.text)
        with logs.records.open("a") as file:
            file.write(record(one))
        await until(lambda: lines() == 3)
        running.cancel()

    asyncio.run(run())


def test_many_records_are_read_in_parts_and_their_file_is_truncated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = balancer("one", "b", "")
    logs, _ = written(tmp_path, one)
    monkeypatch.setattr(access_logs, "AT_ONCE_BYTES", 10 * len(record(one)) - 1)
    monkeypatch.setattr(access_logs, "CLEARED_BYTES", 20 * len(record(one)))
    with logs.records.open("a") as file:
        file.write(record(one) * 25 + record(one)[:-1])
    parts = 1
    while logs.collect():
        parts += 1
    (log,) = tmp_path.rglob("*.log")
    assert (parts, len(log.read_text().splitlines())) == (4, 26)
    with logs.records.open("a") as file:
        file.write("\n")
    assert not logs.collect()
    assert (len(log.read_text().splitlines()), logs.records.stat().st_size) == (27, 0)


def test_new_lines_are_delivered_to_the_bucket_and_old_objects_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_logs, "_KEPT_OBJECTS", 2)
    stored: dict[str, bytes] = {}

    async def deliver(bucket: str, key: str, content: bytes, instead_of: str) -> bool:
        stored.pop(instead_of, None)
        if bucket == "b":
            stored[key] = content
        return bucket == "b"

    there, missing = balancer("one", "b", "team"), balancer("two", "none", "")
    logs = AccessLogs(tmp_path, lambda: [(there, "127.0.0.1"), (missing, "127.0.0.1")], deliver=deliver)
    for number in range(3):
        with logs.records.open("a") as file:
            file.write(record(there) + record(missing))
        logs.collect()
        asyncio.run(logs.deliver(datetime(2026, 1, 2, 3, 5 + number, tzinfo=UTC)))
    stems = [re.sub(r"_[0-9a-f]{8}\.log\.gz$", "", each) for each in stored]
    folder = "team/AWSLogs/123456789012/elasticloadbalancing/us-east-1/2026/01/02/"
    name = "123456789012_elasticloadbalancing_us-east-1_app.one.0123456789abcdef"
    assert stems == [f"{folder}{name}_20260102T{at}Z_127.0.0.1" for at in ("0306", "0307")]
    assert all(len(gzip.decompress(each).splitlines()) == 1 for each in stored.values())
