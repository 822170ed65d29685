"""Run the benchmarks, and print their figures with the machine and the day."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks import (
    changes,
    check,
    churn,
    console,
    counting,
    cycles,
    differences,
    endpoints,
    ingresses,
    keystroke,
    latency,
    memory,
    plans,
    rules,
    scale,
    start,
    throughput,
    watchers,
)
from benchmarks.running import Figures

BENCHMARKS: dict[str, Callable[[], Figures]] = {
    "start": start.run,
    "memory": memory.run,
    "cycles": cycles.run,
    "changes": changes.run,
    "throughput": throughput.run,
    "counting": counting.run,
    "rules": rules.run,
    "ingresses": ingresses.run,
    "plans": plans.run,
    "scale": scale.run,
    "endpoints": endpoints.run,
    "check": check.run,
    "churn": churn.run,
    "latency": latency.run,
    "watchers": watchers.run,
    "console": console.run,
    "diff": differences.run,
    "keystroke": keystroke.run,
}


def main() -> None:
    wanted = sys.argv[1:] or list(BENCHMARKS)
    if unknown := [name for name in wanted if name not in BENCHMARKS]:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}")
    for name in wanted:
        print(f"\n{name}", flush=True)
        for what, figure in BENCHMARKS[name]().items():
            print(f"  {what:<56} {figure}", flush=True)


if __name__ == "__main__":
    main()
