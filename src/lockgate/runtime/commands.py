"""What other commands do with a running edge: query its status, predict a request, compare it, and read its log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lockgate.errors import CommandError
from lockgate.runtime import control
from lockgate.runtime.state import NotRunning, StateFolder

if TYPE_CHECKING:
    from lockgate.runtime.reading.revisions import Place
    from lockgate.trace.model import Request

_COMPARING = 120.0  # s
_TAIL = 64 * 1024  # bytes of a log that are shown first


def ask_status(folder: StateFolder) -> dict[str, Any]:
    """Raises `NotRunning`, `Starting`, `control.NoAnswer`."""
    folder.read()
    return control.ask(folder.control_socket, "status")


def ask_trace(folder: StateFolder, request: Request, *, follow: bool = False) -> dict[str, Any]:
    """What the edge would do with the request now, as `trace.text.as_json`. Raises `control.NoAnswer`."""
    return control.ask(folder.control_socket, as_question(request, follow=follow))


def show_load_balancers(folder: StateFolder) -> None:
    """Adds load balancers to the edge's metrics of Istio. Raises `control.NoAnswer`."""
    control.ask(folder.control_socket, "with-alb")


def as_question(request: Request, *, follow: bool) -> str:
    """One line for the control socket."""
    fields = ("scheme", "host", "port", "target", "method", "headers", "source", "protocol", "now")
    return "trace " + json.dumps({**{name: getattr(request, name) for name in fields}, "follow": follow})


def compare(
    folder: StateFolder, place: Place, values: Sequence[str], *, running: Literal["old", "new"]
) -> dict[str, Any]:
    """Which requests the running edge and the files of `place` treat differently; `running` is the edge's side.

    The answer is `trace.difference.text.as_json`'s. Raises `NoAnswer`.
    """
    asked = {
        "running": running,
        "place": asdict(replace(place, path=str(Path(place.path).absolute()))),
        "values": [str(Path(each).absolute()) for each in values],
    }
    answer = control.ask(folder.control_socket, f"diff {json.dumps(asked)}", timeout=_COMPARING)
    if "error" in answer:
        raise control.NoAnswer(answer["error"])
    return answer


class NoSuchEnvoy(CommandError):
    """The edge has no Envoy of that name."""

    def __init__(self, asked: str, known: Sequence[str]) -> None:
        super().__init__(f"no Envoy is called {asked!r}: there is {', '.join(known)}")


def read_log(folder: StateFolder, *, follow: bool, envoy: str | None = None) -> Iterator[str]:
    """The last lines of the log, or of that of an Envoy, and, with `follow`, new ones until the edge ends.

    Raises `NotRunning` and `NoSuchEnvoy`.
    """
    path = folder.log if envoy is None else _envoy_log(folder, envoy)
    try:
        file = path.open(errors="replace")
    except FileNotFoundError:
        raise NotRunning(folder.name) from None
    with file:
        size = path.stat().st_size
        if size > _TAIL:
            file.seek(size - _TAIL)
            file.readline()
        yield from file
        while follow:
            if line := file.readline():
                yield line
            elif folder.held():
                time.sleep(0.1)
            else:
                yield from file  # what it wrote in the end
                return


def _envoy_log(folder: StateFolder, node: str) -> Path:
    logs = {path.stem.removeprefix("envoy-"): path for path in sorted(folder.run.glob("envoy-*.log"))}
    if not logs:
        raise NotRunning(folder.name)
    if node not in logs:
        raise NoSuchEnvoy(node, list(logs))
    return logs[node]
