"""SPDY/3.1: frames become events whole or in pieces, and what breaks the protocol or a limit ends the connection."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spdy_client import Client, control, data

from lockgate.embedded.kubernetes.streaming import spdy
from lockgate.embedded.kubernetes.streaming.spdy import Connection, Data, Ended, Opened, ProtocolError, Reset

CONVERSATION = "a stream with headers, data in two parts, and another stream"


def test_the_dictionary_is_the_specifications() -> None:
    """Its identifier begins every header block, so a wrong one would end each connection."""
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


def conversation() -> bytes:
    client = Client()
    first = client.open(1, StreamType="data", port="80")
    return first + data(1, b"one") + data(1, b"two", fin=True) + client.open(3, fin=True, streamtype="error")


EVENTS = [
    Opened(1, {"streamtype": "data", "port": "80"}, False),
    Data(1, b"one", False),
    Data(1, b"two", True),
    Opened(3, {"streamtype": "error"}, True),
]


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 1000])
def test_frames_may_arrive_in_any_pieces(size: int) -> None:
    connection, sent = Connection(), conversation()
    found = [event for start in range(0, len(sent), size) for event in connection.receive(sent[start : start + size])]
    assert found == EVENTS


def test_answers_are_frames_that_a_client_reads() -> None:
    client, connection = Client(), Connection()
    list(connection.receive(client.open(1, streamtype="data") + client.open(3, streamtype="data")))
    connection.reply(1)
    connection.reply(3)
    connection.send(1, b"hello")
    connection.send(1, b"", end=True)
    connection.send(1, b"after the end")
    connection.reset(3, spdy.PROTOCOL_ERROR)
    connection.go_away(0)
    none = struct.pack(">I", 0)
    assert client.received(connection.outgoing()) == [
        ("reply", 1, none, False),
        ("reply", 3, none, False),
        ("data", 1, b"hello", False),
        ("data", 1, b"", True),
        ("reset", 3, struct.pack(">I", 1), False),
        ("goaway", 3, none, False),
    ]
    assert connection.outgoing() == b""


def test_long_data_is_split_and_only_the_last_part_ends_the_stream() -> None:
    client, connection = Client(), Connection()
    list(connection.receive(client.open(1)))
    connection.send(1, b"x" * (spdy.LONGEST_FRAME + 1), end=True)
    parts = client.received(connection.outgoing())
    assert [(len(payload), last) for _, _, payload, last in parts] == [(spdy.LONGEST_FRAME, False), (1, True)]


def test_pings_of_the_client_are_answered() -> None:
    client, connection = Client(), Connection()
    assert list(connection.receive(control(6, struct.pack(">I", 1)) + control(6, struct.pack(">I", 2)))) == []
    assert client.received(connection.outgoing()) == [("ping", 1, b"", False)]


def test_data_that_was_taken_is_reported_for_the_stream_and_the_connection() -> None:
    client, connection = Client(), Connection()
    list(connection.receive(client.open(1) + data(1, b"x" * 40_000)))
    connection.took(1, 40_000)
    updated = struct.pack(">I", 40_000)
    assert client.received(connection.outgoing()) == [("window", 1, updated, False), ("window", 0, updated, False)]


def test_what_a_client_ends_is_over() -> None:
    client, connection = Client(), Connection()
    sent = client.open(1) + control(3, struct.pack(">II", 1, 5)) + data(1, b"late") + control(7, bytes(8))
    assert list(connection.receive(sent)) == [Opened(1, {}, False), Reset(1), Ended()]
    connection.send(1, b"nobody reads this")
    assert connection.outgoing() == b""


def test_frames_that_nothing_depends_on_are_skipped() -> None:
    connection = Connection()
    assert list(connection.receive(control(4, bytes(12)) + control(9, bytes(8)) + control(99, b"x"))) == []


def test_too_many_streams_are_refused_and_those_that_are_open_stay() -> None:
    client, connection = Client(), Connection()
    opened = [client.open(2 * number + 1) for number in range(spdy.MOST_STREAMS + 1)]
    assert len(list(connection.receive(b"".join(opened)))) == spdy.MOST_STREAMS
    last = 2 * spdy.MOST_STREAMS + 1
    assert client.received(connection.outgoing()) == [("reset", last, struct.pack(">I", 3), False)]
    assert list(connection.receive(data(1, b"still"))) == [Data(1, b"still", False)]


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (struct.pack(">II", 1, spdy.LONGEST_FRAME + 1), "a frame of 1048577 bytes, more than 1048576"),
        (control(1, b"", version=2), "SPDY version 2, not 3"),
        (control(1, b"short"), "a SYN_STREAM that is too short"),
        (control(3, b"short"), "a RST_STREAM of a wrong size"),
        (control(1, struct.pack(">IIH", 1, 0, 0) + b"not zlib"), "headers that cannot be inflated"),
        (Client().open(2), "stream 2 after 0"),
        (data(1, b"x"), "data of stream 1, which is not open"),
        (Client().open(1, bomb="0" * 20_000), "headers of more than 16384 bytes"),
    ],
)
def test_what_breaks_the_protocol_or_a_limit_is_an_error(sent: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        list(Connection().receive(sent))


@given(st.lists(st.one_of(st.binary(max_size=200), st.just(conversation())), max_size=5))
def test_any_bytes_are_events_or_a_protocol_error(parts: list[bytes]) -> None:
    connection = Connection()
    try:
        for part in parts:
            list(connection.receive(part))
    except ProtocolError:
        connection.go_away(spdy.PROTOCOL_ERROR)
        assert connection.outgoing()
