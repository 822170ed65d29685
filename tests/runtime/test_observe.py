"""What is asked about hosts while records come and go."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lockgate.dns.model import Zone
from lockgate.runtime.observe import Observer


class Dns:
    def __init__(self, *resolving: str) -> None:
        self.resolving = set(resolving)
        self.asked: list[str] = []

    async def addresses_of(self, host: str) -> list[str]:
        self.asked.append(host)
        return ["127.0.0.1"] if host in self.resolving else []


HOSTS = ("a.example", "*.b.example", "c.example")


def zones() -> tuple[Zone, ...]:
    """A tuple of its own each time, as the server gives one after each change."""
    return (Zone("Z1", "example.", ()),)


def test_only_missing_hosts_are_asked_about_while_records_are_made() -> None:
    dns = Dns("a.example")
    edge: Any = SimpleNamespace(dns=dns, addresses={"lb": "127.0.0.2"})
    observer = Observer(edge)

    def resolved(current: tuple[Zone, ...]) -> tuple[set[str], list[str]]:
        dns.asked = []
        return set(asyncio.run(observer._which_resolve(HOSTS, current))), dns.asked

    first = zones()
    assert resolved(first) == ({"a.example"}, ["a.example", "any.b.example", "c.example"])
    assert resolved(first) == ({"a.example"}, [])
    dns.resolving |= {"any.b.example"}
    assert resolved(zones()) == ({"a.example", "*.b.example"}, ["any.b.example", "c.example"])
    dns.resolving |= {"c.example"}
    assert resolved(zones())[0] == set(HOSTS)
    dns.resolving -= {"a.example"}
    assert resolved(zones())[0] == {"*.b.example", "c.example"}


def test_hosts_that_resolved_are_doubted_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.runtime.observe._DOUBTED_EVERY", 0.0)
    dns = Dns("a.example")
    observer = Observer(cast(Any, SimpleNamespace(dns=dns, addresses={})))
    assert set(asyncio.run(observer._which_resolve(HOSTS, zones()))) == {"a.example"}
    dns.resolving = set()
    assert set(asyncio.run(observer._which_resolve(HOSTS, zones()))) == set()


def test_another_load_balancer_address_is_a_reason_to_ask_again() -> None:
    dns = Dns("a.example")
    edge: Any = SimpleNamespace(dns=dns, addresses={"lb": "127.0.0.2"})
    observer, current = Observer(edge), zones()
    assert set(asyncio.run(observer._which_resolve(HOSTS, current))) == {"a.example"}
    dns.resolving = {"c.example"}
    edge.addresses = {}
    assert set(asyncio.run(observer._which_resolve(HOSTS, current))) == {"c.example"}
