"""Port-forwards, logs and refused streams, with the real kubectl and with raw clients."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes_rig import TOKEN, Cluster, cluster, kubectls
from spdy_client import Client, data

from lockgate.embedded.kubernetes.streaming.logs import Line, LogOptions, selected
from lockgate.embedded.kubernetes.streaming.port_forward import PortForward
from lockgate.resources import core

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Shouting:
    """Pods whose port 80 answers each line in capitals, and whose log is three lines a second apart, and then more."""

    def __init__(self) -> None:
        self.server: asyncio.Server | None = None
        self.more: asyncio.Queue[str] = asyncio.Queue()

    async def start(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line.upper())
                await writer.drain()
            writer.close()

        self.server = await asyncio.start_server(answer, "127.0.0.1")

    async def connect(self, pod: core.Pod, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if port != 80 or self.server is None:
            raise OSError(f"nothing listens on port {port} of Pod {pod.namespace}/{pod.name}")
        return await asyncio.open_connection(*self.server.sockets[0].getsockname())

    async def log(self, pod: core.Pod) -> AsyncIterator[Line | None]:
        for number in range(3):
            yield Line(BEGAN + timedelta(seconds=number), f"line {number} of {pod.name}")
        yield None
        while True:
            yield Line(datetime.now(UTC), await self.more.get())


@asynccontextmanager
async def shouting(home: Path) -> AsyncIterator[tuple[Cluster, Shouting]]:
    access = Shouting()
    await access.start()
    async with cluster(home, access) as kubernetes:
        await kubernetes.store.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"containers": [{"name": "web", "image": "i", "ports": [{"containerPort": 80}]}]},
            }
        )
        await kubernetes.store.patch_status(core.Pod, "web", "default", {"phase": "Running"})
        yield kubernetes, access


def story(act: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(act(), 60))


# --- port-forward --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not kubectls(), reason="no kubectl on this machine")
@pytest.mark.parametrize("websockets", ["true", "false"])
def test_kubectl_forwards_a_port_over_both_protocols(websockets: str, tmp_path: Path) -> None:
    async def act() -> None:
        async with shouting(tmp_path) as (_, _access):
            process = await asyncio.create_subprocess_exec(
                kubectls()[0],
                *("port-forward", "pod/web", ":80", ":81", "-v=6"),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={
                    "HOME": str(tmp_path),
                    "KUBECONFIG": str(tmp_path / "config"),
                    "KUBECTL_PORT_FORWARD_WEBSOCKETS": websockets,
                },
            )
            assert process.stdout is not None
            assert process.stderr is not None
            ports: dict[str, int] = {}
            while len(ports) < 2:
                line = (await process.stdout.readline()).decode()
                assert line, (await process.stderr.read()).decode()
                local, _, remote = line.removeprefix("Forwarding from ").partition(" -> ")
                ports[remote.strip()] = int(local.rpartition(":")[2])
            replies = await asyncio.gather(*(_shout(ports["80"], f"hello {number}") for number in range(20)))
            assert replies == [f"HELLO {number}\n".encode() * 1000 for number in range(20)]
            assert await _shout(ports["81"], "hello") == b""
            process.terminate()
            shown = (await process.stderr.read()).decode()
            await process.wait()
            assert "nothing listens on port 81 of Pod default/web" in shown
            assert ("tunneling_dialer" in shown) is (websockets == "true"), shown

    story(act)


async def _shout(port: int, line: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{line}\n".encode() * 1000)
        writer.write_eof()
        return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def _raw(kubernetes: Cluster, head: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    """A raw connection after its first request, and the head of the answer."""
    context = ssl.create_default_context(cafile=str(kubernetes.ca))
    host, port = kubernetes.api.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    writer.write(head.replace("\n", "\r\n").encode())
    return reader, writer, (await reader.readuntil(b"\r\n\r\n")).decode()


def upgrade(path: str, *, token: str = TOKEN, host: str = "127.0.0.1", **headers: str) -> str:
    named = {
        "Host": host,
        "Authorization": f"Bearer {token}",
        "Connection": "Upgrade",
        "Upgrade": "SPDY/3.1",
        "X-Stream-Protocol-Version": "portforward.k8s.io",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    return f"POST {path} HTTP/1.1\n" + "".join(f"{name}: {value}\n" for name, value in named.items()) + "\n"


PATH = "/api/v1/namespaces/default/pods/web/portforward"


def test_a_client_that_breaks_the_protocol_is_sent_away_and_others_are_served(tmp_path: Path) -> None:
    async def act() -> None:
        async with shouting(tmp_path) as (kubernetes, _):
            reader, writer, head = await _raw(kubernetes, upgrade(PATH))
            assert head.startswith("HTTP/1.1 101 ")
            assert "X-Stream-Protocol-Version: portforward.k8s.io" in head
            other, sending, _ = await _raw(kubernetes, upgrade(PATH))
            client = Client()
            pair = [client.open(1, streamtype="error", port="80", requestid="0")]
            pair += [client.open(3, streamtype="data", port="80", requestid="0"), data(3, b"one\n")]
            sending.write(b"".join(pair))
            writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
            assert [kind for kind, *_ in Client().received(await reader.read(-1))] == ["goaway"]
            found: list[Any] = []
            while not any(kind == "data" for kind, *_ in found):
                found += client.received(await other.read(1000))
            assert [each for each in found if each[0] == "data"] == [("data", 3, b"ONE\n", False)]
            sending.write(data(3, b"", fin=True))
            while len([each for each in found if each[3]]) < 2:  # both streams end: no error
                found += client.received(await other.read(1000))
            assert ("data", 1, b"", True) in found
            sending.close()

    story(act)


@pytest.mark.parametrize(
    ("head", "status", "said"),
    [
        (upgrade(PATH, token="wrong"), 401, "Unauthorized"),
        (upgrade(PATH.replace("web", "gone")), 404, 'pods "gone" not found'),
        (upgrade(PATH, host="evil.example"), 421, "only for this machine"),
        (upgrade(PATH, X_Stream_Protocol_Version="v9"), 403, "unable to negotiate protocol"),
        (upgrade(PATH.replace("portforward", "exec")), 405, "exec is not served here: Lockgate runs no containers"),
        (upgrade("/api/v1/pods?watch=true"), 400, "only for the portforward of a Pod"),
        (f"GET {PATH} HTTP/1.1\nHost: localhost\nAuthorization: Bearer {TOKEN}\n\n", 400, "Upgrade request required"),
        (
            upgrade(PATH, Upgrade="websocket", Sec_WebSocket_Version="13", Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==")
            .replace("POST", "GET"),
            400,
            "portforward needs the subprotocol",
        ),
        (
            upgrade("/api/v1/pods", Upgrade="websocket", Sec_WebSocket_Version="13", Sec_WebSocket_Key="A" * 22 + "==")
            .replace("POST", "GET"),
            400,
            "watches are served over HTTP",
        ),
    ],
)  # fmt: skip
def test_what_is_not_served_is_answered_with_a_status(head: str, status: int, said: str, tmp_path: Path) -> None:
    async def act() -> None:
        async with shouting(tmp_path) as (kubernetes, _):
            reader, writer, answered = await _raw(kubernetes, head)
            assert answered.split()[1] == str(status)
            length = next(line for line in answered.lower().splitlines() if line.startswith("content-length"))
            body = json.loads(await reader.readexactly(int(length.split()[1])))
            assert (body["kind"], body["code"]) == ("Status", status)
            assert said in body["message"]
            writer.close()

    story(act)


def test_a_port_that_takes_nothing_holds_back_its_client_and_is_left_with_it() -> None:
    """The client's data waits in a bounded queue, and a reset frees what waits."""

    async def act() -> None:
        client = Client()
        arriving: asyncio.Queue[bytes] = asyncio.Queue()
        written: list[bytes] = []
        accepted = asyncio.Event()

        async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.set()
            await asyncio.Event().wait()

        server = await asyncio.start_server(hold, "127.0.0.1", limit=1)

        async def write(sent: bytes) -> None:
            written.append(sent)

        async def connect(_port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection(*server.sockets[0].getsockname())

        forwarding = PortForward(arriving.get, write, connect)
        running = asyncio.create_task(forwarding.run())
        await arriving.put(client.open(1, streamtype="data", port="80", requestid="0"))
        await accepted.wait()
        for _ in range(100):
            await arriving.put(data(1, b"x" * 500_000))
        waited = 0
        while waited < 50:  # until nothing is taken any more
            before = arriving.qsize()
            await asyncio.sleep(0.02)
            waited = waited + 1 if arriving.qsize() == before else 0
        assert arriving.qsize() > 20, "most of it waits with the client"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.close()

    story(act)


# --- logs ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not kubectls(), reason="no kubectl on this machine")
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((), "line 0 of web\nline 1 of web\nline 2 of web\n"),
        (("--tail", "1"), "line 2 of web\n"),
        (("--tail", "0"), ""),
        (("--tail", "1", "--timestamps"), "2026-01-01T00:00:02.000000000Z line 2 of web\n"),
        (("--since-time", "2026-01-01T00:00:01Z"), "line 1 of web\nline 2 of web\n"),
        (("--since", "1s"), ""),
        (("--limit-bytes", "20"), "line 0 of web\nline 1"),
    ],
)
def test_kubectl_prints_the_log_of_a_pod(arguments: tuple[str, ...], shown: str, tmp_path: Path) -> None:
    async def act() -> None:
        async with shouting(tmp_path) as (kubernetes, _):
            assert await kubernetes.kubectl("logs", "web", *arguments) == (0, shown, "")

    story(act)


@pytest.mark.skipif(not kubectls(), reason="no kubectl on this machine")
def test_kubectl_follows_a_log_until_the_api_stops(tmp_path: Path) -> None:
    async def act() -> None:
        async with shouting(tmp_path) as (_, access):
            process = await asyncio.create_subprocess_exec(
                kubectls()[0],
                *("logs", "-f", "web", "--tail", "1"),
                stdout=asyncio.subprocess.PIPE,
                env={"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "config")},
            )
            assert process.stdout is not None
            assert await process.stdout.readline() == b"line 2 of web\n"
            access.more.put_nowait("more")
            assert await process.stdout.readline() == b"more\n"
        await process.wait()

    story(act)


@pytest.mark.skipif(not kubectls(), reason="no kubectl on this machine")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("exec", "web", "--", "ls"), "exec is not served here: Lockgate runs no containers, so Pod default/web"),
        (("attach", "web"), "attach is not served here"),
        (("logs", "web", "-c", "other"), "container other is not valid for pod web"),
        (("logs", "web", "--previous"), 'previous terminated container "web" in pod "web" not found'),
        (("logs", "gone"), 'pods "gone" not found'),
    ],
)
def test_kubectl_is_refused_with_words(command: tuple[str, ...], said: str, tmp_path: Path) -> None:
    async def act() -> None:
        async with shouting(tmp_path) as (kubernetes, _):
            code, _, err = await kubernetes.kubectl(*command)
            assert code == 1
            assert said in err

    story(act)


def test_a_log_that_is_cut_ends_in_the_middle_of_a_line() -> None:
    async def act() -> None:
        access = Shouting()
        pod = core.Pod.model_validate({"metadata": {"name": "web"}, "spec": {"containers": []}})
        text = b"".join([part async for part in selected(access.log(pod), LogOptions(limit=3))])
        assert text == b"lin"

    story(act)
