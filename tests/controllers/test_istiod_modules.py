"""istiod gets the modules of WasmPlugins, and gives Envoy their files."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from test_istiod import EDGE, POD, Lab, codes, running
from test_istiod_keys import serving

from lockgate.controllers.istiod.modules import MOST_BYTES

MODULE = "\0asm\x01\0\0\0"
PLUGIN = """
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {{name: filter, namespace: istio-system}}
spec: {{url: "{url}", {more}}}
"""


def module(lab: Lab) -> str | None:
    """The file of the gateway's module."""
    assert lab.istiod is not None
    proxy = lab.istiod.proxies.get("gateway")
    filters = proxy.gateway.filters if proxy and proxy.gateway else None
    return next((each.module for each in filters.modules), None) if filters else None


def reason(lab: Lab) -> str:
    assert lab.istiod is not None
    return next((fault.message for fault in lab.istiod.faults if fault.code.id == "LG2046"), "")


def test_a_module_is_fetched_and_until_then_refuses() -> None:
    async def scenario() -> None:
        async with serving() as server, running(EDGE, POD) as lab:
            url = f"http://127.0.0.1:{server.port}/a.wasm"
            await lab.apply(PLUGIN.format(url=url, more=f"sha256: {hashlib.sha256(MODULE.encode()).hexdigest()}"))
            await lab.until(lambda: module(lab) == "" and "status 404" in reason(lab))
            assert "every request that it would see gets 403" in reason(lab)
            server.answers["/a.wasm"] = MODULE
            path = Path(await lab.until(lambda: module(lab)))
            assert (path.parent, path.read_bytes()) == (lab.modules, MODULE.encode())
            await lab.until(lambda: "LG2046" not in codes(lab))

    asyncio.run(scenario())


def test_a_module_is_fetched_again_when_its_plugin_changes_and_says_so() -> None:
    async def scenario() -> None:
        async with serving() as server, running(EDGE, POD) as lab:
            server.answers["/a.wasm"] = MODULE
            url = f"http://127.0.0.1:{server.port}/a.wasm"
            for policy, asked in (("IfNotPresent", 1), ("Always", 2), ("Always", 3)):
                more = f"imagePullPolicy: {policy}, priority: {asked}"
                await lab.apply(PLUGIN.format(url=url, more=more))
                await lab.until(lambda: module(lab) and len(server.asked) == asked)  # noqa: B023

    asyncio.run(scenario())


def test_a_file_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "a b.wasm"
    path.write_text(MODULE)

    async def scenario() -> None:
        async with running(EDGE, POD) as lab:
            await lab.apply(PLUGIN.format(url=f"file://{tmp_path}/a%20b.wasm", more="phase: AUTHN"))
            assert await lab.until(lambda: module(lab)) == str(path)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("file", "more", "because"),
    [
        ("none.wasm", "", "there is no file"),
        ("text.wasm", "", "it is not a WebAssembly module"),
        ("a.wasm", f"sha256: {'a' * 64}", "its checksum is"),
        ("large.wasm", "failStrategy: FAIL_OPEN", "the file has more than"),
    ],
)
def test_what_cannot_be_loaded(tmp_path: Path, file: str, more: str, because: str) -> None:
    (tmp_path / "a.wasm").write_text(MODULE)
    (tmp_path / "text.wasm").write_text("text")
    with (tmp_path / "large.wasm").open("wb") as large:
        large.truncate(MOST_BYTES + 1)

    async def scenario() -> None:
        async with running(EDGE, POD) as lab:
            await lab.apply(PLUGIN.format(url=f"file://{tmp_path}/{file}", more=more))
            await lab.until(lambda: because in reason(lab))
            assert module(lab) == ""

    asyncio.run(scenario())
