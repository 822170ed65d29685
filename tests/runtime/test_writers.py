"""Whether a file is being written, as Linux knows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.runtime.reading.writers import is_open_for_writing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it")


def test_a_shell_that_redirects_into_a_file_is_a_writer_until_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a")
    assert not is_open_for_writing(str(file))
    with subprocess.Popen(
        ["sh", "-c", f"(echo; cat) > {file}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        while file.read_text() != "\n":
            pass
        assert is_open_for_writing(str(file))
        assert shell.stdin
        shell.stdin.close()
        shell.wait()
        assert not is_open_for_writing(str(file))


def test_readers_are_no_writers(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a")
    with file.open():
        assert not is_open_for_writing(str(file))


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert not is_open_for_writing(str(tmp_path / "pipe.yaml"))
    assert not is_open_for_writing(str(tmp_path))
    assert not is_open_for_writing(str(tmp_path / "missing"))
