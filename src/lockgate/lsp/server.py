"""The protocol: what the editor says, and what it gets."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from lsprotocol import types
from pygls import uris
from pygls.lsp.server import LanguageServer

from lockgate import __version__
from lockgate.lsp.actions import actions
from lockgate.lsp.diagnostics import by_file
from lockgate.lsp.hover import hover
from lockgate.lsp.workspace import Checked, Workspace

log = logging.getLogger("lockgate.lsp")

_PAUSE = 0.01  # s after a change, in which an editor sends what belongs to it
_PATIENCE = 5.0  # s that a question waits for a round
_SUFFIXES = (".yaml", ".yml", ".json")


class Server(LanguageServer):
    """`paths` are the manifests, relative to the workspace's folder; without them, all of the folder."""

    def __init__(self, paths: Sequence[str] = ()) -> None:
        super().__init__("lockgate", __version__, types.TextDocumentSyncKind.Incremental)
        self._paths = tuple(paths)
        self._folder = Path.cwd()
        self._manifests = Workspace((".",))
        self._checked = Checked()
        self._published: Mapping[str, tuple[Sequence[types.Diagnostic], int | None]] = {}
        self._problem = ""
        self._changed = asyncio.Event()
        self._on_disk = True
        self._idle = asyncio.Event()
        self._rounds: asyncio.Task[None] | None = None
        _register(self)

    # --- rounds --------------------------------------------------------------------------------------------------

    def begin(self, parameters: types.InitializeParams) -> None:
        """The first folder of the workspace becomes the current one, so that files have short names."""
        given = parameters.initialization_options
        paths = given.get("paths") if isinstance(given, dict) else None
        folders = [each.uri for each in parameters.workspace_folders or ()] or [parameters.root_uri or ""]
        roots = [path for uri in folders if (path := uris.to_fs_path(uri))]
        if roots:
            self._folder = Path(roots[0])
            os.chdir(self._folder)
        named = [str(each) for each in paths] if isinstance(paths, list) else self._paths
        self._manifests = Workspace(tuple(named) or (".", *roots[1:]))

    def start(self) -> None:
        self.changed(on_disk=True)
        self._rounds = asyncio.create_task(self._run())

    def changed(self, *, on_disk: bool) -> None:
        self._on_disk |= on_disk
        self._idle.clear()
        self._changed.set()

    async def checked(self) -> Checked:
        """Once the changes so far have been checked."""
        try:
            await asyncio.wait_for(self._idle.wait(), _PATIENCE)
        except TimeoutError:
            log.warning("a check takes longer than %.0f s", _PATIENCE)
        return self._checked

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_PAUSE)
            self._changed.clear()
            on_disk, self._on_disk = self._on_disk, False
            opened = {name: each.source.encode() for name, each in self._opened().items()}
            versions = {name: each.version for name, each in self._opened().items()}
            try:
                self._checked = await asyncio.to_thread(self._manifests.check, opened, on_disk=on_disk)
                self._publish(self._checked, versions)
            except Exception:  # the next text may be another one
                log.exception("a check failed")
            if not self._changed.is_set():
                self._idle.set()

    def _opened(self) -> dict[str, Any]:
        documents = self.workspace.text_documents.values()
        named = ((self.name_of(each.uri), each) for each in documents)
        return {name: each for name, each in named if name is not None and name.endswith(_SUFFIXES)}

    def _publish(self, checked: Checked, versions: Mapping[str, int | None]) -> None:
        found = by_file(checked.findings, checked.manifests.positions(), self.lines, self.uri_of)
        now = {name: (diagnostics, versions.get(name)) for name, diagnostics in found.items()}
        for name in {*now, *self._published}:
            diagnostics, version = now.get(name, ((), versions.get(name)))
            if self._published.get(name) != (diagnostics, version):
                shown = [self._in_client_units(name, each) for each in diagnostics]
                self.text_document_publish_diagnostics(
                    types.PublishDiagnosticsParams(self.uri_of(name), shown, version)
                )
        self._published = now
        if checked.problem and checked.problem != self._problem:
            self.window_show_message(types.ShowMessageParams(types.MessageType.Error, f"Lockgate: {checked.problem}"))
        self._problem = checked.problem

    def _in_client_units(self, name: str, diagnostic: types.Diagnostic) -> types.Diagnostic:
        related = [
            types.DiagnosticRelatedInformation(
                types.Location(each.location.uri, self._units(self.name_of(each.location.uri), each.location.range)),
                each.message,
            )
            for each in diagnostic.related_information or ()
        ]
        return attrs.evolve(diagnostic, range=self._units(name, diagnostic.range), related_information=related or None)

    def _units(self, name: str | None, where: types.Range) -> types.Range:
        return self.workspace.position_codec.range_to_client_units(self.lines(name or ""), where)

    # --- files ---------------------------------------------------------------------------------------------------

    def name_of(self, uri: str) -> str | None:
        """A document's file as Lockgate names it: relative to the workspace's folder."""
        path = uris.to_fs_path(uri) if uri.startswith("file:") else None
        if path is None:
            return None
        relative = os.path.relpath(path, self._folder)  # as the editor spells it, through symbolic links
        return path if relative.startswith("..") else relative

    def uri_of(self, name: str) -> str:
        return uris.from_fs_path(str(self._folder / name)) or ""

    def lines(self, name: str) -> Sequence[str]:
        """As the editor has them, if the file is open."""
        opened = self.workspace.text_documents.get(self.uri_of(name))
        if opened is not None:
            return list(opened.lines)
        try:
            return Path(name).read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return ()


def _register(server: Server) -> None:
    """What the editor may say."""

    @server.feature(types.INITIALIZE)
    def initialize(parameters: types.InitializeParams) -> None:
        server.begin(parameters)

    @server.feature(types.INITIALIZED)
    def initialized(_: types.InitializedParams) -> None:
        server.start()
        _follow_files(server)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def typed(_: Any) -> None:
        server.changed(on_disk=False)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def saved(_: Any) -> None:
        server.changed(on_disk=True)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def hovered(parameters: types.HoverParams) -> types.Hover | None:
        name = server.name_of(parameters.text_document.uri)
        if name is None:
            return None
        checked = await server.checked()
        at = server.workspace.position_codec.position_from_client_units(server.lines(name), parameters.position)
        shown = hover(checked, name, at.line + 1, at.character + 1)
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, shown)) if shown else None

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions([types.CodeActionKind.QuickFix]))
    async def offered(parameters: types.CodeActionParams) -> list[types.CodeAction]:
        uri = parameters.text_document.uri
        name = server.name_of(uri)
        if name is None:
            return []
        checked = await server.checked()
        return [*actions(checked, uri, name, server.lines(name), parameters.context.diagnostics)]


def _follow_files(server: Server) -> None:
    """Asks the editor to report files that change without it: another branch, a generator."""
    workspace = server.client_capabilities.workspace
    watched = workspace.did_change_watched_files if workspace else None
    if watched is None or not watched.dynamic_registration:
        return
    watchers = [types.FileSystemWatcher("**/*.{yaml,yml,json}")]
    options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
    server.client_register_capability(
        types.RegistrationParams(
            [types.Registration("lockgate-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)]
        )
    )
