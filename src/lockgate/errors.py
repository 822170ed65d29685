"""Errors that end a command: the world fails, or does not fit what was asked.

What is wrong with a manifest is no error, but a `resources.faults.Fault`.
"""

from __future__ import annotations

from typing import ClassVar


class CommandError(Exception):
    """The message says what failed; `hint` says what to do about it, and may be empty."""

    hint: ClassVar[str] = ""
