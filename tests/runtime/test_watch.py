"""The watcher against a real disk: it notices, and it ends."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lockgate.runtime.reading import watch
from lockgate.runtime.reading.watch import Watcher

PATIENCE = 20.0  # s


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "a.yaml").write_text("a")
    (tmp_path / "out" / "sub" / "b.yaml").write_text("b")
    return tmp_path / "out"


def watching(scenario: Callable[[Watcher], Awaitable[None]], *paths: Path) -> None:
    async def run() -> None:
        async with Watcher([str(path) for path in paths]) as watcher:
            await scenario(watcher)

    asyncio.run(run())


def replaced(folder: Path) -> None:
    shutil.rmtree(folder)
    (folder / "sub").mkdir(parents=True)


def swapped(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("new"))
    folder.rename(folder.with_name("old"))
    folder.with_name("new").rename(folder)


def below_replaced(folder: Path) -> None:
    replaced(folder / "sub")


def moved_in(folder: Path) -> None:
    (folder.parent / "more").mkdir()
    (folder.parent / "more" / "c.yaml").write_text("c")
    (folder.parent / "more").rename(folder / "more")


@pytest.mark.parametrize("tool", [replaced, swapped, below_replaced, moved_in])
def test_the_next_save_is_noticed(folder: Path, tool: Callable[[Path], None]) -> None:
    async def scenario(watcher: Watcher) -> None:
        tool(folder)
        assert await watcher.changed(within=PATIENCE)
        for file in (folder / "a.yaml", folder / "sub" / "b.yaml", folder / "more" / "c.yaml"):
            if file.parent.is_dir():
                file.write_text("saved again")
                while (found := watcher.tree.files.get(str(file))) is None or found.size != len("saved again"):
                    assert await watcher.changed(within=PATIENCE)

    watching(scenario, folder)


def test_a_file_is_followed_by_its_name(folder: Path) -> None:
    async def scenario(watcher: Watcher) -> None:
        (folder / "other.yaml").write_text("not ours")
        (folder / "new").write_text("as an editor does")
        (folder / "new").rename(folder / "a.yaml")
        assert await watcher.changed(within=PATIENCE)
        assert watcher.tree.files.keys() == {str(folder / "a.yaml")}

    watching(scenario, folder / "a.yaml")


def test_the_target_of_a_link(folder: Path) -> None:
    outside = folder.parent / "outside.yaml"
    outside.write_text("outside")
    (folder / "link.yaml").symlink_to(outside)

    async def scenario(watcher: Watcher) -> None:
        outside.write_text("edited outside")
        assert await watcher.changed(within=PATIENCE)

    watching(scenario, folder)


def test_without_a_notifier_files_are_polled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_watches(*_: object) -> None:
        raise OSError("OS file watch limit reached")

    warned: list[str] = []
    monkeypatch.setattr(watch, "_Notifier", no_watches)

    async def run() -> None:
        async with Watcher([str(folder)], warn=warned.append) as watcher:
            for text in ("once", "and again"):
                (folder / "sub" / "b.yaml").write_text(text)
                assert await watcher.changed(within=PATIENCE)

    asyncio.run(run())
    (line,) = warned
    assert "polled: OS file watch limit reached" in line


def test_nothing_is_noticed_where_nothing_changes(folder: Path) -> None:
    async def scenario(watcher: Watcher) -> None:
        (folder / ".a.yaml.swp").write_text("an editor's own")
        assert not await watcher.changed(within=1.0)

    watching(scenario, folder)


def test_its_thread_ends_with_it(folder: Path) -> None:
    async def scenario(_: Watcher) -> None:
        assert any(thread.name == "file notifier" for thread in threading.enumerate())

    watching(scenario, folder)
    for thread in threading.enumerate():
        if thread.name == "file notifier":
            thread.join(PATIENCE)
            assert not thread.is_alive()
