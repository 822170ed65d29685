"""An edge's folder, its lock, and its ports."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from lockgate.runtime.ports import Ports
from lockgate.runtime.state import AlreadyRunning, BadName, NotRunning, Starting, StateFolder, edges, write_private


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_only_one_holds_a_name() -> None:
    folder = StateFolder.of("demo")
    with folder.hold():
        folder.write({"pid": 4711})
        assert folder.held()
        assert [each.name for each in edges()] == ["demo"]
        with pytest.raises(AlreadyRunning, match="pid 4711"), StateFolder.of("demo").hold():
            pass
        with StateFolder.of("other").hold():
            assert [each.name for each in edges()] == ["demo", "other"]
    assert not folder.held()
    assert edges() == []


def test_an_edge_is_seen_from_its_first_moment() -> None:
    folder = StateFolder.of("demo")
    with folder.hold():
        assert folder.pid() == os.getpid()
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"):
            StateFolder.of("demo").take()
        with pytest.raises(Starting, match="'demo' is still starting"):
            folder.read()
        folder.write({"pid": 4711, "addresses": {}})
        assert folder.read()["pid"] == 4711
    with pytest.raises(NotRunning):
        folder.pid()


def test_a_lock_may_be_handed_over() -> None:
    folder = StateFolder.of("demo")
    lock = folder.take()
    (folder.path / "leftover").touch()
    with folder.hold(lock):
        assert folder.held()
        assert not (folder.path / "leftover").exists()
    assert not folder.held()


def test_what_a_killed_supervisor_left_is_cleared_but_never_a_running_one() -> None:
    folder = StateFolder.of("demo")
    lock = folder.take()
    folder.clear()
    assert folder.pid() == os.getpid()
    os.close(lock)  # as the kernel does it
    folder.clear()
    assert sorted(entry.name for entry in folder.path.iterdir()) == ["lock"]


def test_only_the_log_is_left_behind() -> None:
    folder = StateFolder.of("demo")
    with folder.hold():
        write_private(folder.kubeconfig, "token: x")
        folder.log.write_text("what happened\n")
        (folder.run / "some.sock").touch()
    assert sorted(entry.name for entry in folder.path.iterdir()) == ["lock", "log"]
    with pytest.raises(NotRunning):
        folder.read()


def test_what_an_earlier_one_left_is_removed() -> None:
    folder = StateFolder.of("demo")
    folder.path.mkdir(parents=True)
    (folder.path / "edge.json").write_text('{"pid": 4711}')
    (folder.path / "kubeconfig").touch()
    with folder.hold():
        assert folder.pid() == os.getpid()
        assert not (folder.path / "kubeconfig").exists()


def test_private_files_are_private() -> None:
    folder = StateFolder.of("demo")
    with folder.hold():
        write_private(folder.kubeconfig, "token: x")
        assert stat.S_IMODE(folder.kubeconfig.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.run.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "Demo", "a/b", "..", "-a", "x" * 41])
def test_bad_names(name: str) -> None:
    with pytest.raises(BadName):
        StateFolder.of(name)


def test_a_folder_with_a_long_path_has_its_sockets_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCKGATE_HOME", str(tmp_path / ("deep" * 30)))
    folder = StateFolder.of("demo")
    assert len(str(folder.control_socket)) < 104
    with folder.hold():
        assert folder.run.is_dir()
    assert not folder.run.exists()


def test_ports_are_given_once_and_the_same_again() -> None:
    ports = Ports("demo")
    first = ports.free("127.0.0.1", 443, "listener")
    assert first >= 20000
    assert ports.free("127.0.0.1", 443, "listener") != first
    ports.release("127.0.0.1", first)
    assert Ports("demo").free("127.0.0.1", 443, "listener") == first


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Envoy does not set SO_REUSEPORT")
def test_a_port_is_claimed_before_anything_binds_it() -> None:
    first, second = Ports("one"), Ports("two")
    number = first.free("127.0.0.1", 28080)
    assert second.free("127.0.0.1", number) != number, "another edge that starts at the same time"
    assert second.free("127.0.0.2", number) == number
    with socket.create_server(("127.0.0.1", number)):
        first.release("127.0.0.1", number)
        assert Ports("three").free("127.0.0.1", number) != number, "it is not claimed any more, but something listens"
