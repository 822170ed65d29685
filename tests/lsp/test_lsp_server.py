"""The language server as an editor meets it: a process, over standard input and output."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient

ROOT = Path(__file__).parents[2]
PATIENCE = 10.0  # s
pytestmark = pytest.mark.edge

STAR = '      hosts: ["*"]'
NAMED = "      hosts: [towpath.example]"


@dataclass
class Editor:
    """Types text, and sees what the server publishes."""

    folder: Path
    client: LanguageClient = field(default_factory=lambda: LanguageClient("editor", "1"))
    texts: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    shown: dict[str, types.PublishDiagnosticsParams] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    watches: list[types.Registration] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self, *arguments: str, **options: Any) -> None:
        async def published(shown: types.PublishDiagnosticsParams) -> None:
            async with self._news:
                self.shown[shown.uri.removeprefix(self.folder.as_uri() + "/")] = shown
                self._news.notify_all()

        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(published)

        async def said(message: types.ShowMessageParams) -> None:
            async with self._news:
                self.messages.append(message.message)
                self._news.notify_all()

        self.client.feature(types.WINDOW_SHOW_MESSAGE)(said)

        def registered(parameters: types.RegistrationParams) -> None:
            self.watches += parameters.registrations

        self.client.feature(types.CLIENT_REGISTER_CAPABILITY)(registered)

        await self.client.start_io(sys.executable, "-m", "lockgate", "lsp", *arguments)
        watching = types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True)
        able = types.ClientCapabilities(workspace=types.WorkspaceClientCapabilities(did_change_watched_files=watching))
        folders = [types.WorkspaceFolder(self.folder.as_uri(), "project")]
        await self.client.initialize_async(
            types.InitializeParams(capabilities=able, workspace_folders=folders, **options)
        )
        self.client.initialized(types.InitializedParams())

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str) -> None:
        self.texts[name] = (self.folder / name).read_text()
        self.versions[name] = 1
        item = types.TextDocumentItem(self.uri(name), "yaml", 1, self.texts[name])
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def type(self, name: str, old: str, new: str) -> int:
        """Replaces a part of a line, as a keystroke does; returns the new version."""
        before, _, after = self.texts[name].partition(old)
        assert after, f"{old!r} is not in {name}"
        line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
        end = types.Position(line + old.count("\n"), column + len(old) if "\n" not in old else 0)
        self.texts[name] = before + new + after
        return self._send(name, types.Range(types.Position(line, column), end), new)

    def _send(self, name: str, where: types.Range, text: str) -> int:
        self.versions[name] += 1
        document = types.VersionedTextDocumentIdentifier(version=self.versions[name], uri=self.uri(name))
        change = types.TextDocumentContentChangePartial(range=where, text=text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))
        return self.versions[name]

    def apply(self, name: str, action: types.CodeAction) -> None:
        assert action.edit and action.edit.changes
        (edit,) = action.edit.changes[self.uri(name)]
        lines = self.texts[name].splitlines(keepends=True)
        assert edit.range.start.character == edit.range.end.character == 0
        self.texts[name] = "".join((*lines[: edit.range.start.line], edit.new_text, *lines[edit.range.end.line :]))
        self._send(name, edit.range, edit.new_text)

    def close(self, name: str) -> None:
        self.client.text_document_did_close(
            types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(self.uri(name)))
        )

    def codes(self, name: str) -> list[str]:
        shown = self.shown.get(name)
        return [str(each.code) for each in shown.diagnostics] if shown else []

    async def until(self, true: Callable[[], bool], what: str) -> None:
        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(true), PATIENCE)
            except TimeoutError:
                raise AssertionError(f"never {what}: {self.shown}, {self.messages}") from None

    async def hover(self, name: str, line: str) -> str:
        """What is shown at the first character of a line's text."""
        at = next(number for number, text in enumerate(self.text(name).splitlines()) if text.strip() == line)
        text = self.text(name).splitlines()[at]
        place = types.Position(at, len(text) - len(text.lstrip()) + (2 if line.startswith("- ") else 0))
        where = types.HoverParams(types.TextDocumentIdentifier(self.uri(name)), place)
        shown = await self.client.text_document_hover_async(where)
        if shown is None:
            return ""
        assert isinstance(shown.contents, types.MarkupContent)
        return shown.contents.value

    def text(self, name: str) -> str:
        return self.texts.get(name) or (self.folder / name).read_text()

    async def fixes(self, name: str) -> list[types.CodeAction]:
        diagnostics = list(self.shown[name].diagnostics)
        context = types.CodeActionContext(diagnostics)
        where = types.CodeActionParams(types.TextDocumentIdentifier(self.uri(name)), diagnostics[0].range, context)
        found = await self.client.text_document_code_action_async(where)
        return [each for each in found or () if isinstance(each, types.CodeAction)]


@asynccontextmanager
async def editor(folder: Path, *arguments: str, **options: Any) -> AsyncIterator[Editor]:
    made = Editor(folder)
    await made.start(*arguments, **options)
    try:
        yield made
    finally:
        await made.client.shutdown_async(None)
        made.client.exit(None)
        await made.client.stop()  # type: ignore[no-untyped-call]


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test(), PATIENCE * 3)

    asyncio.run(bounded())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples" / "edge", tmp_path / "k8s")
    return tmp_path


GATEWAY, ROUTES = "k8s/40-gateway.yaml", "k8s/50-routes.yaml"


def test_what_is_typed_is_checked_before_it_is_saved(project: Path) -> None:
    async def test() -> None:
        async with editor(project) as vi:
            vi.open(GATEWAY)
            version = vi.type(GATEWAY, STAR, NAMED)
            await vi.until(lambda: vi.codes(GATEWAY) == ["LG5001"], "reported")
            shown = vi.shown[GATEWAY]
            assert shown.version == version
            found = shown.diagnostics[0]
            assert (found.severity, found.source) == (types.DiagnosticSeverity.Error, "lockgate")
            assert found.range == types.Range(types.Position(14, 6), types.Position(14, 11))
            assert "\nfix: set hosts: [" in found.message
            vi.type(GATEWAY, NAMED, STAR)
            await vi.until(lambda: vi.codes(GATEWAY) == [], "cleared")

    run(test)


def test_the_last_of_many_keystrokes_counts(project: Path) -> None:
    async def test() -> None:
        async with editor(project) as vi:
            vi.open(GATEWAY)
            for _ in range(40):
                vi.type(GATEWAY, STAR, NAMED)
                await asyncio.sleep(0.003)
                vi.type(GATEWAY, NAMED, STAR)
            last = vi.type(GATEWAY, STAR, NAMED)
            await vi.until(lambda: GATEWAY in vi.shown and vi.shown[GATEWAY].version == last, "of the last version")
            assert vi.codes(GATEWAY) == ["LG5001"]

    run(test)


def test_a_document_that_is_broken_for_a_moment_takes_nothing_from_others(project: Path) -> None:
    async def test() -> None:
        async with editor(project) as vi:
            assert "shop/api:8080 answers" in await vi.hover(ROUTES, "prefix: /api/")
            before = {name: vi.codes(name) for name in vi.shown}
            vi.open(GATEWAY)
            vi.type(GATEWAY, STAR, '      hosts: ["*"')
            await vi.until(lambda: bool(vi.codes(GATEWAY)), "reported")
            assert {name: vi.codes(name) for name in vi.shown} == {**before, GATEWAY: ["LG0001"]}
            assert "shop/api:8080 answers" in await vi.hover(ROUTES, "prefix: /api/")

    run(test)


def test_a_text_that_is_closed_and_not_saved_no_longer_counts(project: Path) -> None:
    async def test() -> None:
        async with editor(project) as vi:
            vi.open(GATEWAY)
            vi.type(GATEWAY, STAR, NAMED)
            await vi.until(lambda: vi.codes(GATEWAY) == ["LG5001"], "reported")
            vi.close(GATEWAY)
            await vi.until(lambda: vi.codes(GATEWAY) == [], "cleared")

    run(test)


def test_files_that_others_change_are_followed(project: Path) -> None:
    async def test() -> None:
        async with editor(project) as vi:
            assert "shop/api:8080 answers" in await vi.hover(ROUTES, "prefix: /api/")
            assert [each.method for each in vi.watches] == [types.WORKSPACE_DID_CHANGE_WATCHED_FILES]
            gateway = project / GATEWAY
            gateway.write_text(gateway.read_text().replace(STAR, NAMED))
            event = types.FileEvent(gateway.as_uri(), types.FileChangeType.Changed)
            vi.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
            await vi.until(lambda: vi.codes(GATEWAY) == ["LG5001"], "reported")

    run(test)


def test_hover_shows_the_trace_of_a_request_that_gets_there(project: Path) -> None:
    async def test() -> None:
        async with editor(project) as vi:
            shown = await vi.hover(ROUTES, "prefix: /api/")
            assert shown.startswith("```text\nGET https://towpath.example/api/ ")
            assert " ✓ route         path begins with /api/  k8s/50-routes.yaml:12:11\n" in shown
            assert " → shop/api:8080 answers\n```\n`lockgate trace https://towpath.example/api/`" in shown
            assert await vi.hover(ROUTES, "name: towpath") == ""
            vi.open(ROUTES)
            vi.type(
                ROUTES,
                "            prefix: /api/",
                "            prefix: /api/\n          method:\n            exact: PUT",
            )
            assert "`lockgate trace https://towpath.example/api/ -X PUT`" in await vi.hover(ROUTES, "exact: PUT")
            vi.open(GATEWAY)
            vi.type(GATEWAY, STAR, NAMED)
            shown = await vi.hover(ROUTES, "prefix: /api/")  # waits for the text as it is now
            assert shown.startswith("A request with these conditions does not get here:\n")
            assert "→ The load balancer answers 502." in shown

    run(test)


def test_hover_says_why_a_finding_matters(project: Path) -> None:
    async def test() -> None:
        async with editor(project) as vi:
            vi.open(GATEWAY)
            vi.type(GATEWAY, STAR, NAMED)
            shown = await vi.hover(GATEWAY, NAMED.strip())
            assert shown.startswith("**LG5001** No Gateway server for a connection without SNI. The gateway closes ")
            assert "```text\nGET https://towpath.example/" in shown

    run(test)


def test_a_workspace_may_be_behind_a_symbolic_link(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(project)

    async def test() -> None:
        async with editor(link) as vi:
            vi.open(GATEWAY)
            vi.type(GATEWAY, STAR, NAMED)
            await vi.until(lambda: vi.codes(GATEWAY) == ["LG5001"], "reported")

    run(test)


def test_a_finding_can_be_ignored_with_a_reason(project: Path) -> None:
    async def test() -> None:
        async with editor(project) as vi:
            vi.open(GATEWAY)
            vi.type(GATEWAY, STAR, NAMED)
            await vi.until(lambda: vi.codes(GATEWAY) == ["LG5001"], "reported")
            (ignore,) = [each for each in await vi.fixes(GATEWAY) if each.title.startswith("Ignore")]
            assert (ignore.title, ignore.kind) == ("Ignore LG5001 here, with a reason", types.CodeActionKind.QuickFix)
            vi.apply(GATEWAY, ignore)
            assert f"      # lockgate: ignore LG5001 because \n{NAMED}\n" in vi.text(GATEWAY)
            await vi.until(lambda: bool(vi.codes(GATEWAY)) and "LG5001" not in vi.codes(GATEWAY), "without a reason")
            vi.type(GATEWAY, "because \n", "because it is not for the load balancer\n")
            await vi.until(lambda: vi.codes(GATEWAY) == [], "cleared")

    run(test)


def test_a_finding_can_be_fixed(project: Path) -> None:
    async def test() -> None:
        async with editor(project) as vi:
            vi.open(GATEWAY)
            vi.type(GATEWAY, STAR, f"{NAMED}  # ours")
            await vi.until(lambda: vi.codes(GATEWAY) == ["LG5001"], "reported")
            first, *_ = await vi.fixes(GATEWAY)
            assert first.title.startswith("Fix LG5001: set hosts: [")
            assert first.is_preferred
            vi.apply(GATEWAY, first)
            assert f"{STAR}  # ours\n" in vi.text(GATEWAY)
            await vi.until(lambda: vi.codes(GATEWAY) == [], "cleared")

    run(test)


def test_columns_are_in_the_units_of_the_protocol(project: Path) -> None:
    """A boat is one character, and two units of UTF-16."""
    line = 'spec: {selector: {boat: "🛶"}, prots: []}'
    (project / "boat.yaml").write_text(f"apiVersion: v1\nkind: Service\nmetadata: {{name: boat}}\n{line}\n")

    async def test() -> None:
        async with editor(project) as vi:
            await vi.until(lambda: bool(vi.codes("boat.yaml")), "reported")
            places = [each.range.start for each in vi.shown["boat.yaml"].diagnostics]
            assert types.Position(3, line.index("prots") + 1) in places

    run(test)


def test_settings_that_are_not_valid_are_shown(project: Path) -> None:
    (project / "lockgate.yaml").write_text("regoin: eu-west-1\n")

    async def test() -> None:
        async with editor(project) as vi:
            await vi.until(lambda: bool(vi.messages), "said")
            assert vi.messages == ["Lockgate: lockgate.yaml:1:1: regoin: no such setting, did you mean region?"]

    run(test)


@pytest.mark.parametrize("how", ["arguments", "options"])
def test_only_the_named_folders_are_read(project: Path, how: str) -> None:
    (project / "other").mkdir()
    shutil.move(project / GATEWAY, project / "other" / "gateway.yaml")

    async def test() -> None:
        given: dict[str, Any] = {"initialization_options": {"paths": ["k8s"]}} if how == "options" else {}
        async with editor(project, *(["k8s"] if how == "arguments" else []), **given) as vi:
            assert "shop/api" not in await vi.hover(ROUTES, "prefix: /api/")
            assert await vi.hover("other/gateway.yaml", "- port:") == ""

    run(test)


def test_a_workspace_without_manifests_is_none_with_findings(tmp_path: Path) -> None:
    async def test() -> None:
        async with editor(tmp_path) as vi:
            (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: []}\n")
            vi.open("a.yaml")
            event = types.FileEvent(vi.uri("a.yaml"), types.FileChangeType.Created)
            vi.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
            vi.type("a.yaml", "ports: []", "prots: []")
            await vi.until(lambda: bool(vi.codes("a.yaml")), "reported")

    run(test)


def test_it_ends_with_its_editor(project: Path) -> None:
    async def test() -> None:
        command = (sys.executable, "-m", "lockgate", "lsp")
        process = await asyncio.create_subprocess_exec(
            *command, cwd=project, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), PATIENCE)

    run(test)
