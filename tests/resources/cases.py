"""The tables under `tests/cases/resources`, as parameters of a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

CASES = Path(__file__).parents[1] / "cases" / "resources"


def rows(name: str) -> list[Any]:
    return [pytest.param(row, id=row["name"]) for row in yaml.safe_load((CASES / name).read_text())]
