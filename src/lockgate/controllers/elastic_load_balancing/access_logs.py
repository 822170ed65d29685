"""Writes load balancers' access, connection and health check logs, if enabled. Envoy's records and the results of
probes are converted to AWS's log lines, in files with the layout of AWS's S3 objects. If the bucket exists in the
account, new lines are delivered there, too, as compressed objects, every few seconds instead of AWS's five minutes."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from lockgate.dataplane.records import whole_lines
from lockgate.loadbalancer import connection_log, health_check_log, network_log
from lockgate.loadbalancer.access_log import entry_of, line, object_key, start_of
from lockgate.loadbalancer.health_check_log import Probed
from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkListener, NetworkLoadBalancer
from lockgate.loadbalancer.routing import certificate_for

log = logging.getLogger("lockgate.elastic_load_balancing")

EVERY_SECONDS = 1.0
DELIVERY_SECONDS = 5.0
_KEPT_OBJECTS = 500  # the oldest are deleted, because S3 is in memory here
CLEARED_BYTES = 1 << 20  # size of the file of records beyond which it is truncated, once it is read completely
AT_ONCE_BYTES = 1 << 19  # per read: longer than any record, but short enough not to block others


class AccessLogs:
    """`folder` contains a folder per bucket. `current` returns the load balancers and their addresses. `chain_of`
    returns a certificate's PEM chain by its ARN, or "". `target_at` returns the public name (address and port) of a
    target group's target at an address of this machine. `deliver` puts an object into a bucket in place of an older one
    (its key, or ""), and returns whether there is such a bucket."""

    def __init__(
        self,
        folder: Path,
        current: Callable[[], Iterable[tuple[AnyLoadBalancer, str]]],
        chain_of: Callable[[str], str] = lambda _: "",
        target_at: Callable[[str, str], str] = lambda _, place: place,
        deliver: Callable[[str, str, bytes, str], Awaitable[bool]] | None = None,
    ) -> None:
        self.records = folder / "access-records.jsonl"
        self._folder = folder
        self._current = current
        self._chain_of = chain_of
        self._target_at = target_at
        self._read = 0
        self._lines: dict[Path, list[str]] = {}
        self._unwritable: set[Path] = set()  # already reported
        self._deliver = deliver
        self._undelivered: dict[Path, list[str]] = {}
        self._delivered: defaultdict[str, deque[str]] = defaultdict(deque)  # keys by bucket
        self._objects = 0

    async def run(self) -> None:
        """Runs until cancelled. Does nothing while no load balancer has a log enabled."""
        more, due = False, 0.0
        while True:
            await asyncio.sleep(0 if more else EVERY_SECONDS)
            try:
                more = self.collect()
                if (now := asyncio.get_running_loop().time()) >= due:
                    due = now + DELIVERY_SECONDS
                    await self.deliver(datetime.now(UTC))
            except Exception as fault:  # a fault of logging must not affect traffic
                more = False
                log.warning("cannot read the records to log: %r", fault)

    def probed(self, probed: Probed) -> None:
        """Records a health check for each load balancer that uses the target group."""
        for balancer, address in self._current():
            on = balancer.attributes.get("health_check_logs.s3.enabled") == "true"
            if on and isinstance(balancer, LoadBalancer) and probed.group.reference in balancer.target_groups:
                path = self._path("health_check_logs", balancer, address, probed.started)
                self._lines.setdefault(path, []).append(health_check_log.line(probed, balancer, address))

    def collect(self) -> bool:
        """Writes lines for the new records; returns True if there are more than one read takes. Lines of a log that
        cannot be written are lost.
        """
        records = self._new_records()
        self._note(records)
        lines, self._lines = self._lines, {}
        for path, some in lines.items():
            if self._deliver is not None:
                self._undelivered.setdefault(path, []).extend(some)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="ascii") as file:
                    file.writelines(f"{each}\n" for each in some)
            except OSError as error:
                if path not in self._unwritable:
                    log.warning("cannot write the log %s: %s", path, error.strerror)
                self._unwritable.add(path)
        return bool(records) and self.records.stat().st_size > self._read

    async def deliver(self, now: datetime) -> None:
        """Puts the lines since the last delivery into their buckets, an object for each load balancer and log."""
        undelivered, self._undelivered = self._undelivered, {}
        for path, lines in undelivered.items():
            assert self._deliver is not None
            bucket, *parts = path.relative_to(self._folder).parts
            self._objects += 1
            key = (
                "/".join(parts)
                .replace("T0000Z_", f"T{now:%H%M}Z_")
                .replace("_local.log", f"_{self._objects:08x}.log.gz")
            )
            kept = self._delivered[bucket]
            oldest = kept[0] if len(kept) >= _KEPT_OBJECTS else ""
            if await self._deliver(bucket, key, gzip.compress("".join(f"{each}\n" for each in lines).encode()), oldest):
                kept.append(key)
                if oldest:
                    kept.popleft()

    def _new_records(self) -> list[bytes]:
        if not self.records.exists():
            return []
        found, self._read = whole_lines(self.records, self._read, at_once=AT_ONCE_BYTES, cleared=CLEARED_BYTES)
        return found

    def _note(self, records: Iterable[bytes]) -> None:
        balancers = {balancer.arn: (balancer, address) for balancer, address in self._current()}
        for record in map(_record, records):
            known = balancers.get(record.get("balancer", ""))
            if known is None:
                continue
            balancer, address = known
            name = "connection_logs" if record.get("log") == "connection" else "access_logs"
            path = self._path(name, balancer, address, start_of(record))
            self._lines.setdefault(path, []).append(self._line(record, balancer, address))

    def _path(self, log_name: str, balancer: AnyLoadBalancer, address: str, when: datetime) -> Path:
        """An object key may contain a leading ``/`` and ``..``, but its file must stay in the bucket's folder."""
        bucket = balancer.attributes.get(f"{log_name}.s3.bucket", "") or "logs"
        parts = f"{bucket}/{object_key(balancer, when, address, log_name)}".split("/")
        return self._folder.joinpath(*(part for part in parts if part not in ("", ".", "..")))

    def _line(self, record: Mapping[str, str], balancer: AnyLoadBalancer, address: str) -> str:
        listeners: tuple[Listener | NetworkListener, ...] = balancer.listeners
        listener = next((each for each in listeners if str(each.port) == record["listener_port"]), None)
        secure = listener is not None and listener.protocol in ("HTTPS", "TLS")
        if record.get("log") == "connection":
            return connection_log.line(record, secure=secure)
        certificate = None
        if listener is not None and secure:
            names = {arn: _names(self._chain_of(arn)) for arn in listener.certificates}
            certificate = certificate_for(listener, record.get("server_name"), names)
        if isinstance(balancer, NetworkLoadBalancer):
            return network_log.line(record, balancer, address, certificate or "")
        groups = {reference.rpartition(":")[2]: reference for reference in balancer.target_groups}
        entry = entry_of(record, groups, certificate or "")
        if entry.target:
            entry = replace(entry, target=self._target_at(entry.target_group, entry.target))
        return line(entry, balancer, address)


@lru_cache(maxsize=128)
def _names(chain: str) -> tuple[str, ...]:
    from lockgate.certificates.request import alternative_names, load_chain

    return alternative_names(load_chain(chain.encode())[0])["spec.dnsNames"] if chain else ()


def _record(raw: bytes) -> Mapping[str, str]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: "-" if value is None else str(value) for name, value in found.items()}
