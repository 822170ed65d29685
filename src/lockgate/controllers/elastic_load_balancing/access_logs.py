"""Access and connection logs of load balancers that have them on: Envoy's records become AWS's lines, in files as S3
has objects."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lockgate.loadbalancer import connection_log
from lockgate.loadbalancer.access_log import entry_of, line, object_key, start_of
from lockgate.loadbalancer.model import LoadBalancer

log = logging.getLogger("lockgate.elastic_load_balancing")

EVERY_SECONDS = 1.0
CLEARED_BYTES = 1 << 20  # of the file of records, once all of it is read


class AccessLogs:
    """`folder` gets a folder a bucket. `current` returns the load balancers and their addresses by ARN."""

    def __init__(self, folder: Path, current: Callable[[], Iterable[tuple[LoadBalancer, str]]]) -> None:
        self.records = folder / "access-records.jsonl"
        self._folder = folder
        self._current = current
        self._read = 0

    async def run(self) -> None:
        """For ever; nothing is done while no load balancer has its log on."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                self.collect()
            except OSError as error:
                log.warning("cannot write access logs: %s", error)

    def collect(self) -> None:
        """Make lines of the records that have come since last time."""
        if not self.records.exists():
            return
        with self.records.open("rb+") as file:
            file.seek(self._read)
            text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read += len(whole)
            if self._read > CLEARED_BYTES and len(whole) == len(text):
                file.truncate(0)  # Envoy appends: its next record is the first again
                self._read = 0
        if whole:
            self._write(whole.splitlines())

    def _write(self, records: list[bytes]) -> None:
        balancers = {balancer.arn: (balancer, address) for balancer, address in self._current()}
        lines: dict[Path, list[str]] = {}
        for raw in records:
            record = _record(raw)
            known = balancers.get(record.get("balancer", ""))
            if known is None:
                continue
            balancer, address = known
            log_name = "connection_logs" if record.get("log") == "connection" else "access_logs"
            bucket = balancer.attributes.get(f"{log_name}.s3.bucket", "") or "logs"
            path = self._folder / bucket / object_key(balancer, start_of(record), address, log_name)
            lines.setdefault(path, []).append(_line(record, balancer))
        for path, some in lines.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="ascii") as file:
                file.writelines(f"{each}\n" for each in some)


def _line(record: Mapping[str, str], balancer: LoadBalancer) -> str:
    if record.get("log") == "connection":
        secure = any(
            str(each.port) == record["listener_port"] for each in balancer.listeners if each.protocol == "HTTPS"
        )
        return connection_log.line(record, secure=secure)
    groups = {reference.rpartition(":")[2]: reference for reference in balancer.target_groups}
    return line(entry_of(record, groups), balancer)


def _record(raw: bytes) -> Mapping[str, str]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return {name: "-" if value is None else str(value) for name, value in found.items()}
