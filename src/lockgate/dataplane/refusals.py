"""Envoy's reasons to reject a configuration, from a separate process and in few words.

`envoy --mode validate` reads a configuration as a running Envoy does but serves nothing, so pieces can be tried while
the running Envoy keeps its configuration. A crash counts as a rejection.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from lockgate.dataplane import guard
from lockgate.dataplane.envoy import bootstrap
from lockgate.xds.snapshot import LISTENER, ROUTE

TRIED: Final = frozenset((LISTENER, ROUTE))  # the types that `EnvoyTrial` supports
_PATIENCE: Final = 60.0  # seconds
_HCM: Final = "envoy.filters.network.http_connection_manager"
_CONSTRAINT: Final = re.compile(r"Proto constraint validation failed \((?P<chain>.*)\)\s*$", re.DOTALL)
_LINK: Final = re.compile(r"\w+ValidationError\.(?P<field>[\w\[\]]+): (?P<reason>.*)", re.DOTALL)


def readable(message: str) -> str:
    """Envoy's message in one line, without the configuration dump before the reason."""
    if (found := _CONSTRAINT.search(message)) is None:
        return " ".join(message.split())
    links = [_LINK.fullmatch(each.strip()) for each in found["chain"].split("| caused by")]
    fields = [link["field"] for link in links if link]
    last = links[-1]["reason"] if links[-1] else found["chain"].rpartition("| caused by")[2].strip()
    return f"{'.'.join(fields[-3:])}: {last}" if fields else last


class EnvoyTrial:
    """Validates resources with an Envoy that serves nothing."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._turn = asyncio.Semaphore(1)  # each trial takes a core briefly, and the memory of an Envoy

    async def refusal(self, type_url: str, body: bytes) -> str | None:
        """Why Envoy rejects a resource; None if it accepts the resource."""
        async with self._turn:
            with tempfile.NamedTemporaryFile(suffix=".pb") as file:
                file.write(await asyncio.to_thread(_bootstrap, type_url, body))
                file.flush()
                return await self._refusal(file.name)

    async def _refusal(self, config: str) -> str | None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(Path(guard.__file__)), str(self._binary)),
            *("--mode", "validate", "--config-path", config, "--log-level", "critical", "--log-format", "%v"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            printed, said = await asyncio.wait_for(process.communicate(), _PATIENCE)
            code = await process.wait()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        # With a stats access log, Envoy 1.40 crashes after it has accepted the configuration and has said so.
        if code == 0 or printed.rstrip().endswith(b"OK"):
            return None
        text = said.decode("utf-8", "replace").partition(f"error initializing configuration '{config}': ")[2]
        return readable(text) or f"Envoy ended with exit code {code}"


def _bootstrap(type_url: str, body: bytes) -> bytes:
    """A running Envoy's bootstrap, with a static listener that contains the resource."""
    import envoy.extensions.resource_monitors.downstream_connections.v3.downstream_connections_pb2
    import envoy.extensions.upstreams.http.v3.http_protocol_options_pb2  # noqa: F401  both are in `bootstrap`
    from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
    from google.protobuf.json_format import ParseDict

    given = bootstrap("trial", Path("none"), Path("none"))
    del given["admin"]["access_log"]  # it has fields that the Python package does not know
    made = ParseDict(given, Bootstrap())
    listener = made.static_resources.listeners.add(name="trial")
    if type_url == LISTENER:
        listener.ParseFromString(body)
    else:
        listener.address.socket_address.address = "127.0.0.1"
        listener.address.socket_address.port_value = 0
        listener.filter_chains.add().filters.add(name=_HCM, typed_config=_manager(body))
    return bytes(made.SerializeToString())


def _manager(routes: bytes) -> Any:
    """A connection manager with these routes."""
    from envoy.extensions.filters.http.router.v3.router_pb2 import Router
    from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
    from google.protobuf.any_pb2 import Any as AnyMessage

    made = hcm.HttpConnectionManager(stat_prefix="trial")
    made.route_config.ParseFromString(routes)
    router = made.http_filters.add(name="envoy.filters.http.router")
    router.typed_config.Pack(Router())
    packed = AnyMessage()
    packed.Pack(made)
    return packed
