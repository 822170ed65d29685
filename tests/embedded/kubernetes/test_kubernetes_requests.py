"""Raw requests and odd options, with the answers of kube-apiserver: tests/cases/embedded/kubernetes/requests.yaml."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_kubernetes_api import client

from lockgate.embedded.kubernetes.store import Store

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/embedded/kubernetes/requests.yaml").read_text())


@pytest.mark.parametrize("row", CASES["rows"], ids=lambda row: row["name"])
def test_a_request_is_answered_as_in_a_cluster(row: dict[str, Any]) -> None:
    async def story() -> None:
        store = Store()
        for each in CASES["objects"]:
            await store.create(each)
        method, _, path = row["ask"].partition(" ")
        found = re.match(r"\w+", path)  # `configmaps/a` is below the path of that name
        path = CASES["paths"][found[0]] + path[found.end() :] if found else path
        headers = {"content-type": CASES["media"][row["type"]]} if "type" in row else {}
        async with client(store) as http:
            headers |= row.get("headers", {})
            answer = await http.request(method, path, content=row.get("body", "").encode(), headers=headers)
        assert answer.status_code == row["code"], answer.text
        if "message" in row:
            assert answer.json()["message"] == row["message"]
        if "warning" in row:
            assert answer.headers["warning"] == row["warning"]

    asyncio.run(asyncio.wait_for(story(), 20))
