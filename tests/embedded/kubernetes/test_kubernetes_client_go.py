"""client-go against the API: `peers/clientgo` goes through all kinds, with protobuf and with JSON, and compares."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import yaml
from kubernetes_rig import cluster

CLIENT = Path(sys.prefix) / "peers" / "clientgo"
KINDS = Path(__file__).parents[2] / "cases" / "embedded" / "kubernetes" / "kinds.yaml"


def test_all_kinds_are_the_same_by_protobuf_and_json(tmp_path: Path) -> None:
    async def run() -> tuple[int | None, str]:
        async with cluster(tmp_path) as made:
            client = await asyncio.create_subprocess_exec(
                CLIENT, made.home / "config", KINDS, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            said, _ = await asyncio.wait_for(client.communicate(), 60)
            return client.returncode, said.decode()

    code, said = asyncio.run(run())
    assert code == 0, said
    assert len(said.splitlines()) == len(yaml.safe_load(KINDS.read_text()))
