"""What one keystroke costs in an editor: from the change that it reports to the diagnostics that it gets back.

The workspace has 1,000 objects, a VirtualService and a Service for each of 500 applications behind the example's edge.
Each keystroke changes a path in an open document with a finding, so that each gets an answer. It is measured at the
client, over the pipes between the two processes. The CPU time of the server is what other machines can be compared by.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from benchmarks.running import EXAMPLE, Figures, percentile, spread

_APPLICATIONS = 500
_KEYS = 40
_REST = 0.3  # s between keystrokes: each is one by itself
_PATIENCE = 60.0


def run() -> Figures:
    return {**_in_files_of(5), **_in_files_of(_APPLICATIONS)}


def _in_files_of(applications: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(EXAMPLE, Path(folder) / "edge")
        for first in range(0, _APPLICATIONS, applications):
            texts = (_application(number) for number in range(first, first + applications))
            (Path(folder) / f"applications-{first:03}.yaml").write_text("---\n".join(texts))
        ready, samples, busy = asyncio.run(_typed(Path(folder), Path(folder) / "applications-000.yaml"))
    files = f"{_APPLICATIONS // applications} file{'s' if applications < _APPLICATIONS else ''}"
    return {
        f"lockgate lsp, until {2 * _APPLICATIONS:,} objects in {files} are checked": f"{ready:.2f} s",
        f"  one keystroke in {files}, until its diagnostics": spread(samples, "ms", 0),
        f"  95th percentile in {files}": f"{percentile(samples, 0.95):.0f} ms",
        f"  CPU time of the server for one in {files}": f"{busy:.0f} ms",
    }


async def _typed(folder: Path, file: Path) -> tuple[float, list[float], float]:
    """The seconds until the first diagnostics, the milliseconds of each keystroke, and those of the server's CPU."""
    client = LanguageClient("benchmark", "1")
    published: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()

    def put(found: types.PublishDiagnosticsParams) -> None:
        published.put_nowait(found)

    client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(put)
    began = time.monotonic()
    await client.start_io(sys.executable, "-m", "lockgate", "lsp")
    await client.initialize_async(types.InitializeParams(types.ClientCapabilities(), root_uri=folder.as_uri()))
    client.initialized(types.InitializedParams())
    uri, text = file.as_uri(), file.read_text()
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "yaml", 1, text)))
    await _answer(published, uri, 1)
    ready = time.monotonic() - began
    before = text[: text.index("/api")]
    place = types.Position(before.count("\n"), len(before) - before.rfind("\n"))
    samples = []
    busy = _cpu(client)
    for version in range(2, _KEYS + 2):
        await asyncio.sleep(_REST)
        change = types.TextDocumentContentChangePartial(types.Range(place, place), "a")
        where = types.VersionedTextDocumentIdentifier(version, uri)
        pressed = time.monotonic()
        client.text_document_did_change(types.DidChangeTextDocumentParams(where, [change]))
        await _answer(published, uri, version)
        samples.append((time.monotonic() - pressed) * 1000)
    busy = (_cpu(client) - busy) / _KEYS
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()  # type: ignore[no-untyped-call]
    return ready, samples, busy


def _cpu(client: LanguageClient) -> float:
    """Milliseconds so far. The fields of the file are in proc(5)."""
    assert client._server is not None
    fields = Path(f"/proc/{client._server.pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _answer(published: asyncio.Queue[types.PublishDiagnosticsParams], uri: str, version: int) -> None:
    while True:
        found = await asyncio.wait_for(published.get(), _PATIENCE)
        if found.uri == uri and found.version == version:
            return


def _application(number: int) -> str:
    return f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: app-{number:03}, namespace: shop}}
spec:
  hosts: [app-{number:03}.towpath.example]
  gateways: [istio-system/edge]
  http:
    - match: [{{uri: {{prefix: /api}}}}]
      route: [{{destination: {{host: app-{number:03}, port: {{number: 8080}}}}}}]
    - route: [{{destination: {{host: app-{number:03}, port: {{number: 8080}}}}}}]
{"      retrys: {attempts: 2}" if number == 0 else ""}
---
apiVersion: v1
kind: Service
metadata: {{name: app-{number:03}, namespace: shop}}
spec:
  selector: {{app: app-{number:03}}}
  ports: [{{name: http, port: 8080}}]
"""
