"""Dataclasses with methods that are compiled later behave like others."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest

from lockgate.cli import lazy_dataclasses

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python compiles the methods of a class together")


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    create: Any = getattr(dataclasses, "_create_fn")  # noqa: B009
    lazy_dataclasses.install()
    yield
    setattr(dataclasses, "_create_fn", create)  # noqa: B010


def test_every_method_works_at_its_first_and_at_later_calls() -> None:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 0
        tags: list[str] = field(default_factory=list, hash=False, compare=False)

    for _ in range(2):
        one = Point(1, tags=["a"])
        assert repr(one).endswith("Point(x=1, y=0, tags=['a'])")
        assert one == Point(1, 0)
        assert one != Point(2)
        assert hash(one) == hash(Point(1))
        assert replace(one, y=3) == Point(1, 3)
        assert Point(1).tags is not Point(1).tags
        with pytest.raises(FrozenInstanceError):
            one.x = 4  # type: ignore[misc]
        with pytest.raises(FrozenInstanceError):
            del one.x
        with pytest.raises(TypeError, match="x"):
            Point()  # type: ignore[call-arg]


def test_a_method_is_compiled_once_and_replaces_itself() -> None:
    @dataclass(order=True)
    class Version:
        number: int

    before = Version.__dict__["__init__"]
    assert Version(1) < Version(2)
    after = Version.__dict__["__init__"]
    assert after is not before
    assert after.__qualname__ == before.__qualname__
    assert Version(3).number == 3
    assert Version.__dict__["__init__"] is after


def test_classes_inherit_methods_that_are_not_compiled_yet() -> None:
    @dataclass
    class Parent:
        name: str

    class Child(Parent):
        def __init__(self, name: str) -> None:
            super().__init__(name.upper())

    assert Child("a").name == "A"
    assert Child("b") == Child("B")
    assert Parent("c").name == "c"
    assert "__eq__" not in Child.__dict__
