"""The console's application: who may use it, what its answers carry, and its page."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lockgate.console import server
from lockgate.console.messages import Message, NotHere
from lockgate.embedded.hosts import only_for

TOKEN = "a-token"
HERE = "http://127.0.0.1:8100"


class Fixed:
    """A source with two messages."""

    async def messages(self) -> AsyncGenerator[Message, None]:
        yield Message("hello", {"name": "edge"})
        yield Message("requests", ["</script>"])

    async def node(self, node: str) -> Any:
        if node != "client":
            raise NotHere(f"the edge has no {node}")
        return {"id": node}

    async def request(self, number: int) -> Any:
        return {"id": number}

    async def graph(self, text: str) -> Any:
        return {"text": text}

    async def attempt(self, asked: Any) -> Any:
        if "url" not in asked:
            raise ValueError("no URL")
        return asked

    async def everything(self) -> list[Message]:
        return [each async for each in self.messages()]


def ask(
    path: str, *, method: str = "GET", token: str = TOKEN, host: str = "127.0.0.1:8100", **more: Any
) -> httpx.Response:
    async def asked() -> httpx.Response:
        app: Any = only_for((), server.application(Fixed(), token=TOKEN))
        transport = httpx.ASGITransport(app=app)
        headers = {"Host": host, **({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(asked())


@pytest.mark.parametrize("path", ["/", "/main.js", "/events", "/api/everything", "/export.html", "/?token=wrong"])
def test_nothing_is_shown_without_the_token(path: str) -> None:
    for token in ("", "wrong"):
        answer = ask(path, token=token)
        assert answer.status_code == 401
        assert "lockgate console" in answer.text


def test_the_address_with_the_token_gives_a_cookie_and_hides_it() -> None:
    first = ask(f"/?token={TOKEN}", token="")
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    page = ask("/", token="", headers={"Cookie": cookie.partition(";")[0]})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


def test_the_cookie_of_another_port_is_not_this_ones() -> None:
    assert ask("/", token="", headers={"Cookie": f"lockgate-8101={TOKEN}"}).status_code == 401


def test_a_foreign_host_is_refused() -> None:
    assert ask("/", host="evil.example").status_code == 421


@pytest.mark.parametrize("path", ["/", "/app.css", "/main.js", "/vendor/uPlot.iife.min.js", "/events", "/nowhere"])
def test_every_answer_has_the_policy(path: str) -> None:
    policy = ask(path).headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy


def test_another_sites_page_cannot_send_requests() -> None:
    assert ask("/api/attempt", method="POST", json={"url": "x"}).status_code == 200
    foreign = ask("/api/attempt", method="POST", json={"url": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403


def test_faults_of_the_asker_are_sentences() -> None:
    assert (ask("/api/node?id=no").status_code, ask("/api/node?id=no").text) == (404, "the edge has no no")
    assert ask("/api/attempt", method="POST", json={}).text == "no URL"
    assert ask("/api/attempt", method="POST", content=b"{").status_code == 400
    assert ask("/api/attempt", method="POST", content=b"x" * 600_000).status_code == 400
    assert ask("/../server.py").status_code == 404
    assert ask("/vendor/uPlot.LICENSE").status_code == 404


def test_messages_are_server_sent_events() -> None:
    text = ask("/events").text
    assert text.startswith("retry: 1000\n\n")
    assert 'event: hello\ndata: {"name":"edge"}\n\n' in text


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    page = ask("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=", page)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


def test_the_export_is_one_file_with_everything_in_it() -> None:
    page = ask("/export.html").text
    assert not re.search(r'<(?:link|script)[^>]*(?:src|href)="', page)
    data = re.search(r'<script type="application/json" id="recording">(.*?)</script>', page)
    assert data is not None
    assert json.loads(data[1]) == [["hello", {"name": "edge"}], ["requests", ["</script>"]]]
    assert "script-src 'sha256-" in page
    assert not re.search(r"^(?:import|export) ", page, re.MULTILINE)


def test_every_module_of_the_page_is_exported() -> None:
    from lockgate.console.export import MODULES

    assert {path.name for path in server.PAGE.glob("*.js")} == set(MODULES)
    names = [
        name
        for path in server.PAGE.glob("*.js")
        for name in re.findall(r"^(?:export )?(?:async )?(?:const|let|function) (\w+)", path.read_text(), re.MULTILINE)
    ]
    assert sorted(names) == sorted(set(names))  # in an export they are one script
    assert (Path(server.PAGE) / "vendor" / "uPlot.LICENSE").exists()
