"""What the other commands ask a supervisor, and get."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from lockgate.runtime import control

ANSWERS: list[dict[str, Any]] = [
    {},
    {"name": "demo", "parts": [], "ready": False},
    {
        "objects": [{"number": number, "text": '",[]{}'} for number in range(1001)],
        "hops": [[], [1]],
        "more": {"a": [1]},
    },
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_arrives_as_it_was(tmp_path: Path, answer: dict[str, Any]) -> None:
    async def ask() -> dict[str, Any]:
        async def reply(question: str) -> dict[str, Any]:
            assert question == "status"
            return answer

        server = await control.serve(tmp_path / "control", reply)
        try:
            assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o600
            return await asyncio.to_thread(control.ask, tmp_path / "control", "status")
        finally:
            await control.close(server)

    assert asyncio.run(ask()) == answer


def test_no_server_answers(tmp_path: Path) -> None:
    with pytest.raises(control.NoAnswer):
        control.ask(tmp_path / "control", "status")
