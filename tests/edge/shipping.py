"""An empty account and cluster, and `lockgate plan`, `apply` and others run against them as a team runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from tests.edge.conftest import PATIENCE, Up

_COUNT = re.compile(
    r'lockgate_api_requests_total{api="(\w+)",service="([\w-]+)",operation="([^"]+)",code="(\d+)"} (\d+)'
)
_READS = ("dry-run/", "Describe", "Get", "List", "get/", "list/", "watch/")


def ship(edge: Up, verb: str, *arguments: str | Path, check: int | None = 0) -> subprocess.CompletedProcess[str]:
    """A verb of `deploy` in the environment of `lockgate exec`."""
    command = ["exec", "--name", edge.name, "--", sys.executable, "-m", "lockgate", verb, *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", *command], capture_output=True, text=True, timeout=3 * PATIENCE
    )
    assert check is None or done.returncode == check, f"{verb}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def planned(edge: Up, *arguments: str | Path, check: int | None = None) -> dict[str, Any]:
    found = json.loads(ship(edge, "plan", *arguments, "--output", "json", check=check).stdout)
    assert isinstance(found, dict)
    return found


def calls(edge: Up) -> Counter[str]:
    """How often each operation was called over HTTP: ``acm:ListCertificates``, ``kubernetes:list/pods``."""
    with urllib.request.urlopen(edge.status()["addresses"]["metrics"]) as answer:
        text = answer.read().decode()
    found: Counter[str] = Counter()
    for _, service, operation, _, count in _COUNT.findall(text):
        found[f"{service}:{operation}"] += int(count)
    return found


def writes(counted: Counter[str]) -> Counter[str]:
    return Counter({name: count for name, count in counted.items() if not name.partition(":")[2].startswith(_READS)})


def uncovered(edge: Up, policy: dict[str, Any]) -> set[str]:
    """The calls of AWS so far that a policy does not allow."""
    allowed = {action for each in policy["Statement"] for action in each["Action"]}
    called = (name.replace("elbv2:", "elasticloadbalancing:") for name in calls(edge))
    return {name for name in called if not name.startswith(("kubernetes:", "sts:"))} - allowed
