"""Access, connection and health check logs of load balancers that have them on: Envoy's records and what probes found
become AWS's lines, in files as S3 has objects."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from lockgate.loadbalancer import connection_log, health_check_log
from lockgate.loadbalancer.access_log import entry_of, line, object_key, start_of
from lockgate.loadbalancer.health_check_log import Probed
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.routing import certificate_for

log = logging.getLogger("lockgate.elastic_load_balancing")

EVERY_SECONDS = 1.0
CLEARED_BYTES = 1 << 20  # of the file of records, once all of it is read
AT_ONCE_BYTES = 1 << 19  # of it; more than the longest record has, little enough that nobody else waits long


class AccessLogs:
    """`folder` gets a folder a bucket. `current` returns the load balancers and their addresses by ARN, `chain_of` the
    PEM chain of a certificate by its own, "" where it is not known, `target_at` what a target group's target at an
    address of this machine is called."""

    def __init__(
        self,
        folder: Path,
        current: Callable[[], Iterable[tuple[LoadBalancer, str]]],
        chain_of: Callable[[str], str] = lambda _: "",
        target_at: Callable[[str, str], str] = lambda _, place: place,
    ) -> None:
        self.records = folder / "access-records.jsonl"
        self._folder = folder
        self._current = current
        self._chain_of = chain_of
        self._target_at = target_at
        self._read = 0
        self._lines: dict[Path, list[str]] = {}
        self._unwritable: set[Path] = set()  # already reported

    async def run(self) -> None:
        """For ever; nothing is done while no load balancer has its log on."""
        more = False
        while True:
            await asyncio.sleep(0 if more else EVERY_SECONDS)
            try:
                more = self.collect()
            except Exception as fault:  # what is written down is not what is served: traffic goes on
                more = False
                log.warning("cannot read what is to be logged: %r", fault)

    def probed(self, probed: Probed) -> None:
        """Note a health check, for each load balancer that uses the target group."""
        for balancer, address in self._current():
            on = balancer.attributes.get("health_check_logs.s3.enabled") == "true"
            if on and probed.group.reference in balancer.target_groups:
                path = self._path("health_check_logs", balancer, address, probed.started)
                self._lines.setdefault(path, []).append(health_check_log.line(probed, balancer, address))

    def collect(self) -> bool:
        """Write lines of what has come since last time, if that is not too much: then of a part, and True. Those of a
        log that cannot be written are lost.
        """
        records = self._new_records()
        self._note(records)
        lines, self._lines = self._lines, {}
        for path, some in lines.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="ascii") as file:
                    file.writelines(f"{each}\n" for each in some)
            except OSError as error:
                if path not in self._unwritable:
                    log.warning("cannot write the log %s: %s", path, error.strerror)
                self._unwritable.add(path)
        return bool(records) and self.records.stat().st_size > self._read

    def _new_records(self) -> list[bytes]:
        if not self.records.exists():
            return []
        with self.records.open("rb+") as file:
            file.seek(self._read)
            text = file.read(AT_ONCE_BYTES)
            whole = text[: text.rfind(b"\n") + 1]
            self._read += len(whole)
            if CLEARED_BYTES < self._read == os.fstat(file.fileno()).st_size:
                file.truncate(0)  # Envoy appends: its next record is the first again
                self._read = 0
        return whole.splitlines()

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

    def _path(self, log_name: str, balancer: LoadBalancer, address: str, when: datetime) -> Path:
        """Keys of objects may have any parts; ``/`` in front and ``..`` lead out of no bucket."""
        bucket = balancer.attributes.get(f"{log_name}.s3.bucket", "") or "logs"
        parts = f"{bucket}/{object_key(balancer, when, address, log_name)}".split("/")
        return self._folder.joinpath(*(part for part in parts if part not in ("", ".", "..")))

    def _line(self, record: Mapping[str, str], balancer: LoadBalancer, address: str) -> str:
        listener = next((each for each in balancer.listeners if str(each.port) == record["listener_port"]), None)
        secure = listener is not None and listener.protocol == "HTTPS"
        if record.get("log") == "connection":
            return connection_log.line(record, secure=secure)
        certificate = None
        if listener is not None and secure:
            names = {arn: _names(self._chain_of(arn)) for arn in listener.certificates}
            certificate = certificate_for(listener, record.get("server_name"), names)
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
