"""Built-in kinds as clients send them, by the rows of tests/cases/embedded/kubernetes/built_in.yaml."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from test_kubernetes_api import client

from lockgate.embedded.kubernetes.store import Store
from lockgate.resources.model import JsonObject

ROWS = yaml.safe_load((Path(__file__).parents[2] / "cases/embedded/kubernetes/built_in.yaml").read_text())


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_what_a_client_sends(row: JsonObject) -> None:
    async def story() -> None:
        store = Store()
        kind = next(model.KIND for model in store.catalogue if model.KIND.kind == row["send"]["kind"])
        body = {**row["send"], "metadata": {"name": "a", **row["send"].get("metadata", {})}}
        path = f"/api{'s' if kind.group else ''}/{kind.api_version}/namespaces/default/{kind.plural}"
        params = {"fieldValidation": "Strict"} if row.get("strict") else {}
        async with client(store) as http:
            answer = await http.post(path, json=body, params=params)
            assert answer.status_code == row["code"], answer.text
            found = answer.json()
            assert row.get("message", "") in found.get("message", ""), answer.text
            stored = row.get("stored", {})
            assert {name: found[name] for name in stored} == stored

    asyncio.run(story())
