"""A real Envoy on the configuration stream."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.certificates.authority import dns_content, self_signed
from lockgate.certificates.keys import encode_key
from lockgate.dataplane import envoy, health
from lockgate.dataplane.ads import AdsServer
from lockgate.dataplane.desired import Rejection
from lockgate.dataplane.envoy import DRAIN_SECONDS, Envoy, find_envoy
from lockgate.embedded.http import listen
from lockgate.gateway.credentials import KeyPair
from lockgate.gateway.model import DownstreamTls, FilterChain, Gateway, Http, Listener, RouteConfiguration
from lockgate.xds.snapshot import EMPTY, LISTENER, Entry, Snapshot, Source


def answering(port: int, body: str, *, filter_name: str = "envoy.filters.network.direct_response") -> Snapshot:
    """An Envoy that says `body` to every connection."""
    from envoy.config.listener.v3 import listener_pb2
    from envoy.extensions.filters.network.direct_response.v3 import config_pb2

    listener = listener_pb2.Listener(name="hello")
    listener.address.socket_address.address = "127.0.0.1"
    listener.address.socket_address.port_value = port
    chain = listener.filter_chains.add().filters.add(name=filter_name)
    config = config_pb2.Config()
    config.response.inline_string = body
    chain.typed_config.Pack(config)
    if filter_name == "no.such.filter":
        chain.typed_config.type_url = "type.googleapis.com/no.such.Filter"
    return Snapshot({LISTENER: {"hello": Entry.of(listener.SerializeToString(), "Gateway demo/hello")}})


def free_port() -> int:
    with listen("127.0.0.1", 0) as sock:
        return int(sock.getsockname()[1])


class Running:
    def __init__(self, ads: AdsServer, envoy: Envoy, rejections: list[Rejection]) -> None:
        self.ads, self.envoy, self.rejections = ads, envoy, rejections


@asynccontextmanager
async def running(drain_seconds: int = DRAIN_SECONDS) -> AsyncIterator[Running]:
    with tempfile.TemporaryDirectory() as folder:
        rejections: list[Rejection] = []
        ads = AdsServer(rejections.append)
        socket = Path(folder) / "ads.sock"
        await ads.start(socket)
        envoy = Envoy("alb", runtime=Path(folder), ads_socket=socket, binary=find_envoy(), drain_seconds=drain_seconds)
        task = asyncio.create_task(envoy.run())
        try:
            yield Running(ads, envoy, rejections)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await ads.stop()


async def said(port: int) -> str:
    """What the listener says; it may take a moment to be there."""
    for _ in range(200):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            text = (await reader.read()).decode()
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        return text
    raise AssertionError("nothing listens")


def test_a_snapshot_is_served_and_replaced_and_survives_envoys_death() -> None:
    async def story() -> None:
        port = free_port()
        async with running() as edge:
            edge.ads.publish("alb", answering(port, "one"))
            async with asyncio.timeout(20):
                await edge.ads.settled("alb")
            assert await said(port) == "one"

            edge.ads.publish("alb", answering(port, "two"))
            async with asyncio.timeout(20):
                await edge.ads.settled("alb")
            for _ in range(100):  # the old listener drains for a moment
                if (heard := await said(port)) == "two":
                    break
                await asyncio.sleep(0.02)
            assert heard == "two"

            first = edge.envoy.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            while edge.envoy.pid in (None, first):
                await asyncio.sleep(0.01)
            assert await said(port) == "two"
            assert edge.envoy.restarts == 1

    asyncio.run(story())


def test_a_secret_that_is_acknowledged_is_served_however_late_it_came() -> None:
    """A listener without its secret opens a quarter of a second later, and then closes connections."""
    from lockgate.xds.gateway import snapshot

    chain = FilterChain(Http("all"), tls=DownstreamTls(("pair",)))
    listeners = (Listener("443", "0.0.0.0", 443, (chain,)),)
    gateway = Gateway(
        "gateway", "default", listeners, {"all": RouteConfiguration("all", ())}, credentials={"pair": ("pair",)}
    )

    async def story() -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with running() as edge:
            edge.ads.publish("alb", answering(free_port(), "one"))  # from here on, a health check would pass
            async with asyncio.timeout(30):
                await edge.ads.settled("alb")
                for late in (0.0, 0.2, 0.3):
                    at = {443: ("127.0.0.1", free_port())}
                    edge.ads.publish("alb", snapshot(gateway, binds=at, credentials={}))
                    await edge.ads.settled("alb")
                    await asyncio.sleep(late)
                    edge.ads.publish("alb", snapshot(gateway, binds=at, credentials={"pair": key_pair()}))
                    await edge.ads.settled("alb")
                    _, writer = await asyncio.open_connection(*at[443], ssl=context)
                    writer.close()

    asyncio.run(story())


def key_pair() -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    times = {"not_before": datetime.now(UTC), "not_after": datetime.now(UTC) + timedelta(days=1)}
    return KeyPair(self_signed(key, dns_content(["x.example"]), serial=1, **times).encode(), encode_key(key))


def test_an_envoy_that_is_frozen_or_dead_is_in_trouble_until_it_answers_again() -> None:
    async def until(edge: Running, words: str) -> None:
        async with asyncio.timeout(30):
            while edge.envoy.trouble != words:
                await asyncio.sleep(0.02)

    async def story() -> None:
        async with running() as edge:
            edge.ads.publish("alb", answering(free_port(), "one"))
            async with asyncio.timeout(20):
                await edge.ads.settled("alb")
                while not edge.envoy._health.answered:
                    await asyncio.sleep(0.02)
            pid = edge.envoy.pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            await until(edge, f"its Envoy (pid {pid}) does not answer")
            os.kill(pid, signal.SIGCONT)
            await until(edge, "")
            os.kill(pid, signal.SIGKILL)
            await until(edge, f"its Envoy ended with SIGKILL and is started again, see {edge.envoy.log_file}")
            await until(edge, "")
            assert edge.envoy.pid not in (None, pid)

    asyncio.run(story())


def test_an_envoy_that_stays_frozen_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_EVERY", 0.02)
    monkeypatch.setattr(health, "_PATIENCE", 0.2)

    async def story() -> None:
        port = free_port()
        async with running() as edge, asyncio.timeout(40):
            edge.ads.publish("alb", answering(port, "one"))
            await edge.ads.settled("alb")
            while not edge.envoy._health.answered:
                await asyncio.sleep(0.02)
            pid = edge.envoy.pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            while edge.envoy.pid in (None, pid):
                await asyncio.sleep(0.02)
            assert await said(port) == "one"

    asyncio.run(story())


def test_a_large_log_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envoy, "_LOG_BYTES", 1000)
    monkeypatch.setattr(envoy, "_LOG_CHECKED", 0.05)

    async def story() -> None:
        async with running() as edge, asyncio.timeout(30):
            while edge.envoy.pid is None:
                await asyncio.sleep(0.01)
            with edge.envoy.log_file.open("a") as file:
                file.write("x" * 2000)
            while edge.envoy.log_file.stat().st_size:
                await asyncio.sleep(0.02)
            assert edge.envoy.log_file.with_suffix(".log.1").read_text() == "x" * 2000

    asyncio.run(story())


def test_a_listener_that_is_gone_leaves_nothing_behind_after_it_has_drained() -> None:
    async def draining(edge: Running) -> int:
        stats = await edge.envoy.admin("/stats?filter=listener_manager.total_listeners_draining")
        return int(stats.partition(": ")[2])

    async def story() -> None:
        async with running(drain_seconds=1) as edge, asyncio.timeout(30):
            edge.ads.publish("alb", answering(free_port(), "one"))
            await edge.ads.settled("alb")
            edge.ads.publish("alb", EMPTY)
            while await draining(edge) == 0:
                await asyncio.sleep(0.02)
            while await draining(edge):
                await asyncio.sleep(0.1)

    asyncio.run(story())


def test_a_rejected_listener_is_reported_and_the_last_good_one_goes_on_even_in_a_new_envoy() -> None:
    async def story() -> None:
        port = free_port()
        async with running() as edge:
            edge.ads.publish("alb", answering(port, "good"))
            async with asyncio.timeout(20):
                await edge.ads.settled("alb")
                edge.ads.publish("alb", answering(port, "bad", filter_name="no.such.filter"))
                while not edge.rejections:
                    await asyncio.sleep(0.01)
            assert edge.rejections[0].source == Source("Gateway demo/hello")
            assert "no.such.Filter" in edge.rejections[0].message
            assert edge.ads.rejections("alb") == tuple(edge.rejections)
            edge.ads.publish("alb", answering(port, "bad", filter_name="no.such.filter"))
            assert edge.ads.rejections("alb") == tuple(edge.rejections)  # the same again is no better
            assert await said(port) == "good"
            assert edge.envoy.pid is not None
            os.kill(edge.envoy.pid, signal.SIGKILL)
            assert await said(port) == "good"

    asyncio.run(story())


@pytest.mark.skipif(sys.platform != "linux", reason="reads an environment from /proc")
def test_envoy_does_not_get_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header's value may name any variable of Envoy's: `%ENVIRONMENT(AWS_SECRET_ACCESS_KEY)%`."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the user's own")

    async def story() -> None:
        port = free_port()
        async with running() as edge:
            edge.ads.publish("alb", answering(port, "one"))
            assert await said(port) == "one"
            environment = Path(f"/proc/{edge.envoy.pid}/environ").read_text()
            assert "PATH=" in environment
            assert "AWS_" not in environment

    asyncio.run(story())


def test_stopping_leaves_no_envoy() -> None:
    async def story() -> int:
        async with running() as edge:
            while edge.envoy.pid is None or not edge.envoy.admin_socket.exists():
                await asyncio.sleep(0.01)
            transport = httpx.AsyncHTTPTransport(uds=str(edge.envoy.admin_socket))
            async with httpx.AsyncClient(transport=transport) as admin:
                assert (await admin.get("http://envoy/server_info")).status_code == 200
            return edge.envoy.pid

    assert gone(asyncio.run(story()))


def test_envoy_dies_with_a_killed_supervisor() -> None:
    program = textwrap.dedent(
        """
        import asyncio, sys, tempfile
        from pathlib import Path
        from lockgate.dataplane.envoy import DRAIN_SECONDS, Envoy, find_envoy
        async def main():
            folder = Path(tempfile.mkdtemp())
            envoy = Envoy("alb", runtime=folder, ads_socket=folder / "ads.sock", binary=find_envoy())
            task = asyncio.create_task(envoy.run())
            while envoy.pid is None or not envoy.admin_socket.exists():
                await asyncio.sleep(0.01)
            print(envoy.pid, flush=True)
            await task
        asyncio.run(main())
        """
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    pid = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    assert gone(pid)


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z":
            return True
        time.sleep(0.05)
    return False
