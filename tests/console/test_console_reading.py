"""The logs of requests as they grow: whole lines only, emptied files, too much at once. And what may be tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.console.recording import BadRecording, read
from lockgate.console.trying import read_attempt
from lockgate.dataplane import records as reading
from lockgate.dataplane.records import Growing


def _append(path: Path, *records: object) -> None:
    with path.open("a") as file:
        file.writelines(f"{json.dumps(each)}\n" for each in records)


def test_records_come_once_and_only_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _append(path, {"before": 1})
    growing = Growing(path)
    assert list(growing.records()) == []
    _append(path, {"a": 1}, ["no record"], {"a": 2})
    with path.open("a") as file:
        file.write('not JSON\n{"a":')
    assert list(growing.records()) == [{"a": 1}, {"a": 2}]
    with path.open("a") as file:
        file.write("3}\n")
    assert list(growing.records()) == [{"a": 3}]
    assert list(growing.records()) == []


def test_a_file_that_does_not_exist_yet(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "log")
    assert list(growing.records()) == []
    assert not growing.behind
    _append(tmp_path / "log", {"a": 1})
    assert list(growing.records()) == [{"a": 1}]


def test_a_file_that_is_read_to_its_end_is_emptied_once_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_CLEARED", 10)
    path = tmp_path / "log"
    growing = Growing(path)
    _append(path, {"a": "x" * 20})
    assert len(list(growing.records())) == 1
    assert path.stat().st_size == 0
    _append(path, {"a": 2})
    assert list(growing.records()) == [{"a": 2}]


def test_what_is_too_much_is_left_out_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_TOO_FAR", 500)
    monkeypatch.setattr(reading, "_AT_ONCE", 100)
    path = tmp_path / "log"
    growing = Growing(path)
    _append(path, *({"number": each} for each in range(100)))
    found = list(growing.records())
    assert found[-1] == {"number": 99}
    assert len(found) < 10
    assert growing.skipped > 1000


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ([], "a request is an object"),
        ({"url": 1}, "the URL is a text"),
        ({"url": "https://a.example/" + "x" * 9000}, "the URL is a text of at most"),
        ({"url": "file:///etc/passwd"}, "is not an http:// or https:// URL"),
        ({"url": "https://a.example/", "method": "get it"}, "the method is a word in capital letters"),
        ({"url": "https://a.example/", "headers": {}}, "at most 50 headers"),
        ({"url": "https://a.example/", "headers": ["a"]}, "a header is a list of its name and its value"),
        ({"url": "https://a.example/", "headers": [["a b", "c"]]}, "is not a header that can be sent"),
        ({"url": "https://a.example/", "headers": [["a", "c\r\nd: e"]]}, "is not a header that can be sent"),
    ],
)
def test_what_is_no_request_is_refused_with_words(asked: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("(", r"\(")):
        read_attempt(asked)


def test_a_request_that_may_be_tried() -> None:
    request = read_attempt({"method": "PUT", "url": "https://a.example/x?y", "headers": [["x-a", "b"]]})
    assert (request.method, request.host, request.target, request.headers) == (
        "PUT",
        "a.example",
        "/x?y",
        (("x-a", "b"),),
    )


def test_the_last_line_of_a_recording_may_be_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "edge.jsonl"
    file.write_text('{"lockgate": "recording", "version": 1}\n[0.5, "hello", {"live": true}]\n[1, "requ')
    (only,) = read(file)
    assert (only.at, only.message.data) == (0.5, {"live": False})
    file.write_text('{"lockgate": "recording", "version": 1}\n[0.5, "unknown", {}]\n')
    with pytest.raises(BadRecording, match=":2: not a message"):
        read(file)
