"""Dataclasses whose methods are compiled when they are first called.

The standard library writes the methods of a dataclass as source text and compiles each by itself, in 0.05 ms. Lockgate
has 600 dataclasses with 3,700 methods: a third of the time that its modules take to import. A command calls few of
them. So each method is first a function that compiles the real one, puts it in its place, and calls it.

This replaces a private function of the standard library, so only the `lockgate` command does it, in its own process.
From Python 3.13 on, the methods of a class are compiled together, and nothing is replaced.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

_Method: TypeAlias = Callable[..., Any]
_CREATE = "_create_fn"  # from name, parameters and body to a function


def install() -> None:
    create = getattr(dataclasses, _CREATE, None)
    if sys.version_info < (3, 13) and create is not None:
        setattr(dataclasses, _CREATE, lazily(create))


def lazily(create: _Method) -> _Method:
    def later(name: str, parameters: Sequence[str], body: Sequence[str], **context: Any) -> _Method:
        made: _Method | None = None

        def method(self: object, /, *values: object, **named: object) -> object:
            nonlocal made
            if made is None:
                made = create(name, parameters, body, **context)
                _replace(type(self), method, made)
            return made(self, *values, **named)

        method.__name__ = name
        return method

    return later


def _replace(of: type, method: _Method, made: _Method) -> None:
    made.__qualname__ = method.__qualname__
    for each in of.__mro__:  # the class itself, or the one that it inherits from
        if each.__dict__.get(method.__name__) is method:
            setattr(each, method.__name__, made)
