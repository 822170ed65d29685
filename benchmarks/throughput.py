"""Requests per second and p99 through both hops, beside hand-written static configurations of the same two Envoys.

`plain` is the shortest that re-encrypts: no header is what an ALB would send. `same job` adds by hand what a target
behind an ALB sees: X-Amzn-Trace-Id, X-Forwarded-*, the spelling of header names. All chains end at the same backend,
an Envoy that answers at once, and are loaded in turns in one run: a shared machine's noise then meets all alike.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.running import Figures, edge, median, spread
from benchmarks.start import HOST
from lockgate.dataplane.envoy import find_envoy
from lockgate.runtime.trust import Trust

_ROUNDS = 9
_SECONDS = 4
_CONNECTIONS = 32


def run() -> Figures:
    if shutil.which("wrk") is None:
        return {"wrk": "is not installed: apt-get install wrk"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        backend, plain, same, gateway = (free_port() for _ in range(4))
        stack.enter_context(envoy(folder, "backend", static_backend(backend)))
        backends = [f"--backend=shop/{name}=http://127.0.0.1:{backend}" for name in ("web:3000", "api:8080")]
        running = stack.enter_context(edge(*backends))
        status = running.wait_until_ready()
        files = [str(file) for file in Trust.make("static").server_certificate(folder, "static")]
        stack.enter_context(envoy(folder, "gateway", _static_gateway(gateway, backend, files)))
        stack.enter_context(envoy(folder, "plain", _static_front(plain, gateway, files)))
        stack.enter_context(envoy(folder, "same", _same_job(_static_front(same, gateway, files))))
        chains = {
            "ours": f"https://{listener_of(status)}/",
            "plain": f"https://127.0.0.1:{plain}/",
            "same": f"https://127.0.0.1:{same}/",
        }
        for url in chains.values():
            load(url, 1)
        rates: dict[str, list[float]] = {name: [] for name in chains}
        tails: dict[str, list[float]] = {name: [] for name in chains}
        for number in range(_ROUNDS):
            names = list(chains)
            for name in names[number % 3 :] + names[: number % 3]:
                rate, tail = load(chains[name], _SECONDS)
                rates[name].append(rate)
                tails[name].append(tail)
    figures = {}
    for name, what in (("ours", "lockgate up"), ("plain", "static, plain"), ("same", "static, the same job")):
        figures[f"{what}: requests per second"] = spread(rates[name], "/s", 0)
        figures[f"{what}: p99"] = spread(tails[name], "ms", 1)
    for name, what in (("plain", "plain"), ("same", "the same job")):
        # Of each round, because a busy machine changes more from round to round than the chains differ.
        ratios = [ours / theirs for ours, theirs in zip(rates["ours"], rates[name], strict=True)]
        figures[f"requests per second, against {what}"] = spread(ratios, "", 3)
        figures[f"p99, against {what}"] = f"{median(tails['ours']) / median(tails[name]):.3f}"
    return figures


def load(url: str, seconds: int, *headers: str) -> tuple[float, float]:
    """Requests per second and the 99th percentile of latency in ms."""
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--latency", "-H", f"Host: {HOST}"]
    command += [argument for header in headers for argument in ("-H", header)] + [url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{url} fails under load:\n{said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert rate
    assert tail
    return float(rate[1]), float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1000}[tail[2]]


def listener_of(status: dict[str, Any]) -> str:
    (balancer,) = status["hops"][1]["load_balancers"]
    port = next(each["local_port"] for each in balancer["listeners"] if each["port"] == 443)
    return f"{balancer['address']}:{port}"


# --- the static chain: what one would write by hand ----------------------------------------------------------------

_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TLS = "envoy.extensions.transport_sockets.tls.v3"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


def _typed(type_: str, **fields: object) -> dict[str, object]:
    return {"@type": f"type.googleapis.com/{type_}", **fields}


def _listener_config(port: int, route: Mapping[str, object], files: list[str] | None) -> dict[str, object]:
    chain: dict[str, object] = {
        "filters": [
            {
                "name": "http",
                "typed_config": _typed(
                    _HCM,
                    stat_prefix="http",
                    use_remote_address=True,
                    http_filters=[{"name": "router", "typed_config": _typed(_ROUTER)}],
                    route_config={
                        "virtual_hosts": [
                            {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}
                        ]
                    },
                ),
            }
        ]
    }
    if files:
        certificate = {"certificate_chain": {"filename": files[0]}, "private_key": {"filename": files[1]}}
        common = {"tls_certificates": [certificate], "alpn_protocols": ["h2", "http/1.1"]}
        socket_ = _typed(f"{_TLS}.DownstreamTlsContext", common_tls_context=common)
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": socket_}
    return {"address": _address(port), "filter_chains": [chain]}


def _cluster(port: int, *, tls: bool) -> dict[str, object]:
    cluster: dict[str, object] = {
        "name": "next",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "next",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }
    if tls:
        context = _typed(
            f"{_TLS}.UpstreamTlsContext",
            common_tls_context={"tls_params": {"tls_maximum_protocol_version": "TLSv1_3"}},
        )
        cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return cluster


def static_backend(port: int) -> dict[str, object]:
    answer = {"direct_response": {"status": 200, "body": {"inline_string": "hello\n"}}}
    return {"listeners": [_listener_config(port, answer, None)]}


def _static_gateway(port: int, backend: int, files: list[str]) -> dict[str, object]:
    listener = _listener_config(port, {"route": {"cluster": "next", "timeout": "0s"}}, files)
    return {"listeners": [listener], "clusters": [_cluster(backend, tls=False)]}


def _static_front(port: int, gateway: int, files: list[str]) -> dict[str, object]:
    listener = _listener_config(port, {"route": {"cluster": "next", "timeout": "60s"}}, files)
    return {"listeners": [listener], "clusters": [_cluster(gateway, tls=True)]}


def _same_job(resources: dict[str, Any]) -> dict[str, object]:
    """What an ALB adds for its targets, as one would write it by hand for Envoy."""
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["skip_xff_append"] = True
    manager["generate_request_id"] = False
    manager["http_protocol_options"] = {
        "header_key_format": {
            "stateful_formatter": {
                "name": "preserve_case",
                "typed_config": _typed(
                    "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
                ),
            }
        }
    }
    manager["route_config"]["request_headers_to_add"] = [
        {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, value in (
            ("X-Forwarded-For", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Port", "443"),
        )
    ]
    script = """
function envoy_on_request(handle)
  local now = string.format("%08x", os.time())
  local rest = string.format("%08x%08x%08x", math.random(0, 2^31), math.random(0, 2^31), math.random(0, 2^31))
  handle:headers():add("x-amzn-trace-id", "Root=1-" .. now .. "-" .. rest)
end
"""
    lua = _typed("envoy.extensions.filters.http.lua.v3.Lua", default_source_code={"inline_string": script})
    manager["http_filters"].insert(0, {"name": "envoy.filters.http.lua", "typed_config": lua})
    return resources


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@contextmanager
def envoy(folder: Path, name: str, resources: dict[str, object]) -> Iterator[None]:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"static_resources": resources}))
    process = subprocess.Popen(
        [str(find_envoy()), "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "-l", "error"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,  # as Lockgate starts its own: Linux shares the CPU among sessions
    )
    port = resources["listeners"][0]["address"]["socket_address"]["port_value"]  # type: ignore[index]
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
