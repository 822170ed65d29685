"""What large, deep or hostile texts cost: a line or a result, in work that grows with their size and no faster."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import FrameType
from typing import Any

import pytest

from lockgate.resources import kinds as _kinds  # noqa: F401  # registers them
from lockgate.resources.chunks import MAX_DOCUMENTS, MAX_NODES, MAX_TEXT, Chunk
from lockgate.resources.model import Resource, kinds
from lockgate.resources.reader import read
from lockgate.resources.shape import ListOf, MapOf, Object, Scalar, Shape, shape_of
from lockgate.resources.source import locate

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a%d}\n"
BOMB = "x0: &x0 {k: v}\n" + "".join(f"x{n + 1}: &x{n + 1} {{<<: [{', '.join([f'*x{n}'] * 9)}]}}\n" for n in range(9))

# By name, a text of about n pieces.
TEXTS: dict[str, Callable[[int], str]] = {
    "comments": lambda n: "# c\n" * n,
    "comments before an object": lambda n: "# c\n" * n + NAMESPACE % 0,
    "empty lines": lambda n: "\n" * n,
    "document marks": lambda n: "---\n" * n,
    "end marks": lambda n: "...\n" * n,
    "documents": lambda n: "---\n".join(NAMESPACE % i for i in range(n)),
    "broken documents": lambda n: "kind: [\n---\n" * n,
    "JSON objects": lambda n: "".join(json.dumps({"kind": "a", "n": [i]}) for i in range(n)),
    "empty JSON objects": lambda n: "{}" * n,
    "a JSON list": lambda n: json.dumps({"kind": "List", "items": [{"kind": "a"} for _ in range(n)]}),
    "a JSON array": lambda n: '{"a": [' + "[]," * n + "1]}",
    "open brackets": lambda n: "[" * n,
    "open braces": lambda n: '{"a":' * n,
    "dashes": lambda n: "- " * n,
    "question marks": lambda n: "? " * n,
    "deeper and deeper": lambda n: "".join(" " * i + "a:\n" for i in range(min(n, 2000))),
    "one scalar": lambda n: "a: " + "x" * n,
    "words": lambda n: "word " * n,
    "numbers": lambda n: "a: " + "1" * n,
    "a quoted scalar": lambda n: 'a: "' + "x\n " * n + '"',
    "keys": lambda n: "".join(f"k{i}: v\n" for i in range(n)),
    "one key": lambda n: "k: v\n" * n,
    "merges": lambda n: "x: &x {k: v}\ny:\n" + "  <<: *x\n" * n,
    "a list of merges": lambda n: "x: &x {k: v}\ny: {<<: [" + "*x, " * n + "*x]}\n",
    "aliases": lambda n: "x: &x {k: v}\ny: [" + "*x, " * n + "*x]\n",
    "anchors": lambda n: "".join(f"k{i}: &a{i} v\n" for i in range(n)),
    "tags": lambda n: "- !a b\n" * n,
    "directives": lambda n: "".join(f"%TAG !e{i}! tag:x,2000:\n" for i in range(n)) + "---\na: b\n",
    "zeros": lambda n: "\0" * n,
    "tabs": lambda n: "\t" * n,
    "braces of a template": lambda n: "{{ .Values.a }}\n" * n,
    "surrogates": lambda n: '{"a": "' + "\\ud800" * n + '"}',
    "unknown fields": lambda n: NAMESPACE % 0 + "spec:\n" + "".join(f"  f{i}: 1\n" for i in range(n)),
}


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that some work runs, in a thread of its own: the main one keeps the tracing of coverage."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_counted, work).result()


def _counted(work: Callable[[], object]) -> int:
    count = 0

    def trace(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


def grows_no_faster_than_its_size(text: Callable[[int], str], size: int) -> bool:
    read(text(size), "file.yaml")  # fills the caches
    texts = [text(size * factor) for factor in (1, 2, 4)]
    one, two, four = (steps(partial(read, each, "file.yaml")) for each in texts)
    return four - two <= 2.5 * (two - one) + 500


@pytest.mark.parametrize("name", TEXTS)
def test_work_grows_with_the_text(name: str) -> None:
    assert grows_no_faster_than_its_size(TEXTS[name], 200)


@pytest.mark.parametrize("name", TEXTS)
def test_a_large_text_ends(name: str) -> None:
    """With a result or faults, and few of those."""
    text = TEXTS[name](MAX_TEXT)[:MAX_TEXT] if len(TEXTS[name](1000)) < 5000 else TEXTS[name](500_000)[:MAX_TEXT]
    reading = read(text, "file.yaml")
    assert reading.documents or reading.faults
    assert len(reading.documents) <= MAX_DOCUMENTS
    assert len(reading.faults) <= 201
    assert all(len(fault.message) < 2000 for fault in reading.faults)


def test_merges_of_merges_are_counted() -> None:
    reading = read(BOMB, "bomb.yaml")
    assert [fault.code.id for fault in reading.faults] == ["LG0004"]
    assert steps(partial(read, BOMB, "bomb.yaml")) < 10_000_000


def test_a_place_within_merges_of_merges() -> None:
    """Each map that is merged is searched once."""
    assert locate(Chunk("bomb.yaml", 0, BOMB), ("x9", "missing")).line == 10
    assert steps(lambda: locate(Chunk("bomb.yaml", 0, BOMB), ("x9", "missing"))) < 10_000


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a" * (MAX_TEXT + 1), "LG0004"),
        ("- a\n" * (MAX_NODES + 1), "LG0004"),
        ('{"a": [' + "1," * MAX_NODES + "1]}", "LG0004"),
        ("---\na\n" * (MAX_DOCUMENTS + 1), "LG0006 LG0004"),
    ],
)
def test_limits(text: str, code: str) -> None:
    assert " ".join(fault.code.id for fault in read(text, "f.yaml").faults) == code


def _growing() -> Iterator[Any]:
    for model in kinds().values():
        for path, item in _collections(shape_of(model), ()):
            yield pytest.param(model, path, item, id=f"{model.KIND.kind} {'.'.join(map(str, path))}")


def _collections(shape: Shape, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Shape]]:
    match shape:
        case Object(fields=fields) if len(path) < 7:
            for name, one in fields.items():
                if name != "status":
                    yield from _collections(one.shape, (*path, name))
        case ListOf(inner):
            yield (*path, "*"), inner
            yield from _collections(inner, (*path, "[]"))
        case MapOf(inner):
            yield (*path, "**"), inner
            yield from _collections(inner, (*path, "{}"))


def _sample(shape: Shape, number: int) -> Any:
    match shape:
        case Scalar(choices=choices) if choices:
            return choices[number % len(choices)]
        case Scalar(type=kind):
            return {"integer": number + 1, "number": number + 0.5, "boolean": True, "int-or-string": number + 1}.get(
                kind, f"n{number}.example"
            )
        case Object(fields=fields):
            chosen = {
                name: one.shape for name, one in fields.items() if one.required or name in ("name", "host", "port")
            }
            return {name: _sample(one, number) for name, one in chosen.items()}
        case ListOf(inner):
            return [_sample(inner, number)]
        case MapOf(inner):
            return {f"k{number}": _sample(inner, number)}
        case _:
            return {}


def _filled(shape: Shape, path: tuple[str, ...], item: Shape, size: int) -> Any:
    match path[0], shape:
        case "*", _:
            return [_sample(item, number) for number in range(size)]
        case "**", _:
            return {f"k{number}": _sample(item, number) for number in range(size)}
        case "[]", ListOf(inner):
            return [_filled(inner, path[1:], item, size)]
        case "{}", MapOf(inner):
            return {"k": _filled(inner, path[1:], item, size)}
        case name, Object(fields=fields):
            return {**_sample(shape, 0), name: _filled(fields[name].shape, path[1:], item, size)}
    raise AssertionError(path)


@pytest.mark.parametrize(("model", "path", "item"), list(_growing()))
def test_work_grows_with_each_list_and_map_of_a_kind(model: type[Resource], path: tuple[str, ...], item: Shape) -> None:
    def text(size: int) -> str:
        manifest = _filled(shape_of(model), path, item, size)
        named = {"name": "a", **manifest.get("metadata", {})}
        return json.dumps(
            {**manifest, "apiVersion": model.KIND.api_version, "kind": model.KIND.kind, "metadata": named}
        )

    assert grows_no_faster_than_its_size(text, 16)
