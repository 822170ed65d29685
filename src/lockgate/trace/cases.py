"""A table of requests and expectations: unit tests of routing.

    - name: the API has its prefix removed
      url: https://towpath.example/api/orders
      method: POST
      headers: {x-canary: always}
      expect: {backend: shop/api:8080, target: /orders}

`expect` takes: status, by, location, backend, cause (a part of the sentence), rule (its priority), route (its name),
target and authority (as the backend sees them), and error (whether the request ends in one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from lockgate.edge.edge import Edge
from lockgate.resources import source
from lockgate.resources.chunks import MAX_TEXT, Chunk
from lockgate.resources.faults import Fault, Position
from lockgate.trace.model import BadUrl, Request, Trace
from lockgate.trace.walk import trace

_REQUEST = ("name", "url", "method", "headers", "from", "http2", "follow", "expect")
_EXPECT = ("status", "by", "location", "backend", "cause", "rule", "route", "target", "authority", "error")


class BadCase(ValueError):
    """A file that has no cases, or a case that cannot be run. The message has the place and what is valid there."""

    def __init__(self, place: Position, problem: str) -> None:
        super().__init__(f"{place}: {problem}")


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    request: Request
    expect: Mapping[str, Any]
    follow: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """`differences` has a sentence for each expectation that is not met."""

    case: Case
    trace: Trace
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.differences


def cases(data: bytes, file: str) -> tuple[Case, ...]:
    """The cases of a YAML file, within the limits that manifests have. Raises `BadCase`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadCase(Position(file, 1 + data.count(b"\n", 0, error.start)), "not UTF-8 text") from None
    if len(text) > MAX_TEXT:
        raise BadCase(Position(file, 1), f"larger than {MAX_TEXT:,} characters")
    chunk = Chunk(file, 0, text)
    faults: list[Fault] = []
    try:
        document = source.load(chunk, faults)
    except source.Unreadable as error:
        faults = [error.in_syntax]
    if faults:
        assert isinstance(faults[0].origin, Position)
        raise BadCase(faults[0].origin, faults[0].message)
    if not isinstance(document, list):
        raise BadCase(chunk.first(), "expected a list of cases, each with `url` and `expect`")
    return tuple(_case(row, partial(_refused, chunk, number)) for number, row in enumerate(document))


def _refused(chunk: Chunk, number: int, problem: str, *path: str) -> BadCase:
    return BadCase(source.locate(chunk, (number, *path), key=True), problem)


def _case(row: object, refused: Callable[..., BadCase]) -> Case:
    """`refused` takes the problem, and the path in the case."""
    if not isinstance(row, dict):
        raise refused("expected a map with `url` and `expect`")
    for unknown in (key for key in row if key not in _REQUEST):
        raise refused(f"unknown key `{unknown}`; a case takes {', '.join(_REQUEST)}", unknown)
    expect = row.get("expect")
    if not isinstance(expect, dict) or not expect:
        raise refused(f"`expect` is missing; it takes {', '.join(_EXPECT)}", "expect")
    for unknown in (key for key in expect if key not in _EXPECT):
        raise refused(f"unknown key `{unknown}`; `expect` takes {', '.join(_EXPECT)}", "expect", unknown)
    headers = row.get("headers") or {}
    if not isinstance(headers, dict):
        raise refused("`headers` is not a map", "headers")
    try:
        request = Request.of(
            str(row.get("url", "")),
            method=str(row.get("method", "GET")),
            headers=tuple((key, str(value)) for key, value in headers.items()),
            source=str(ip_address(str(row.get("from", "203.0.113.10")))),
            http2=bool(row.get("http2", False)),
        )
    except BadUrl as error:
        raise refused(str(error), "url") from None
    except ValueError:
        raise refused(f"{row['from']!r} is not an IP address", "from") from None
    return Case(str(row.get("name") or row["url"]), request, expect, bool(row.get("follow", False)))


def run(edge: Edge, case: Case) -> Result:
    found = trace(edge, case.request, follow=case.follow)
    return Result(case, found, tuple(_differences(found.last, case.expect)))


def _differences(found: Trace, expect: Mapping[str, Any]) -> Iterator[str]:
    for key, wanted in expect.items():
        got = _value(found, key)
        holds = str(wanted) in str(got) if key == "cause" and wanted else got == wanted
        if not holds:
            yield f"{key}: expected {wanted!r}, found {got!r}"


def _value(found: Trace, key: str) -> object:
    ending = found.ending
    match key:
        case "error":
            return ending.is_error
        case "rule":
            return _of(found, "rule", "priority")
        case "route":
            return _of(found, "route", "name")
        case "target" | "authority":
            return _of(found, "backend", key)
        case "location" | "backend" | "cause":
            return getattr(ending, key) or None
        case _:
            return getattr(ending, key)


def _of(found: Trace, hop: str, key: str) -> object:
    there = found.hop(hop)
    return there.data.get(key) if there else None


def junit(results: Sequence[Result], suite: str) -> str:
    """The results as JUnit XML, as CI systems read it."""
    failed = sum(not each.passed for each in results)
    root = Element("testsuites", tests=str(len(results)), failures=str(failed))
    inner = SubElement(root, "testsuite", name=suite, tests=str(len(results)), failures=str(failed))
    for each in results:
        case = SubElement(inner, "testcase", classname=suite, name=_xml(each.case.name))
        if not each.passed:
            failure = SubElement(case, "failure", message=_xml("; ".join(each.differences)))
            failure.text = _xml("\n".join(f"{hop.name}: {hop.title}" for hop in each.trace.last.hops))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(each if each in "\t\n" or each >= " " else "\ufffd" for each in text)
