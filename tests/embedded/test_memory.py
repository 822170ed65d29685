"""Freed memory goes back to the system."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from lockgate.embedded import memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps it")
def test_memory_between_objects_that_live_is_given_back() -> None:
    blocks = [bytes(4000 + number % 2) for number in range(20_000)]
    last = blocks[-1]  # keeps glibc from returning the end of its heap at once
    del blocks
    before = _anonymous()
    memory.give_back()
    assert before - _anonymous() > 40_000
    assert last


def _anonymous() -> int:
    """KiB of the process's own memory."""
    match = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match
    return int(match[1])
