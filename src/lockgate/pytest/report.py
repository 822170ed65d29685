"""The report of a failed test: what the edge does with the requests that the test sent, and where that is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lockgate.errors import CommandError
from lockgate.pytest.trace import Trace

if TYPE_CHECKING:
    import subprocess

    import httpx

    from lockgate.pytest.edge import Edge, Sent
    from lockgate.trace.model import Request

_SOURCE = "127.0.0.1"  # from where tests send
_MOST = 3  # the last ones; a test that sends hundreds fails at its last
_MOST_LINES = 20  # of a program's errors


def section(edge: Edge) -> str:
    """Empty if the test did nothing with the edge."""
    return "\n\n".join((*_requests(edge), *_traces(edge), *_programs(edge)))


def _requests(edge: Edge) -> Iterator[str]:
    sent = edge.memory.sent
    if len(sent) > _MOST:
        yield f"The last {_MOST} of {len(sent)} requests:"
    for each in sent[-_MOST:]:
        yield "\n".join(_explained(edge, each))


def _explained(edge: Edge, sent: Sent) -> Iterator[str]:
    from lockgate.runtime import replay

    response = sent.response
    answer = f"{response.status_code} {response.reason_phrase}".rstrip() if response is not None else "no response"
    yield f"{sent.request.method} {sent.request.url} → {answer}"
    predicted = _predicted(edge, lambda: _request(sent))
    yield f"predicted:\n{predicted}"
    if response is not None and isinstance(predicted, Trace):
        for difference in replay.differences(predicted.value, replay.observed(_read(response))):
            yield f" ✗ {difference}"


def _predicted(edge: Edge, request: Callable[[], Request]) -> Trace | str:
    try:
        return edge.predict(request())
    except (CommandError, ValueError) as error:  # the edge has ended, or the URL is not one of HTTP
        return f" no prediction: {error}"


def _request(sent: Sent) -> Request:
    from lockgate.trace.model import Request

    asked, response = sent.request, sent.response
    url = asked.url
    host = asked.headers.get("host", "")
    implied = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length"}
    pairs = [(name, value) for name, value in asked.headers.multi_items() if name.lower() not in implied]
    if host != url.netloc.decode():
        pairs.append(("host", host))
    http2 = response is not None and response.http_version == "HTTP/2"
    return Request.of(str(url), method=asked.method, headers=tuple(pairs), source=_SOURCE, http2=http2)


def _read(response: httpx.Response) -> httpx.Response:
    """A response that was not read to its end says nothing about its backend."""
    import httpx

    if response.is_stream_consumed or hasattr(response, "_content"):
        return response
    return httpx.Response(response.status_code, headers={"location": response.headers.get("location", "")})


def _traces(edge: Edge) -> Iterator[str]:
    yield from (str(each) for each in edge.memory.traces[-_MOST:])


def _programs(edge: Edge) -> Iterator[str]:
    for each in edge.memory.programs[-_MOST:]:
        if each.returncode:
            yield "\n".join(_failed(edge, each))


def _failed(edge: Edge, program: subprocess.CompletedProcess[Any]) -> Iterator[str]:
    from lockgate.trace.model import Request

    yield f"{' '.join(program.args)} → exit code {program.returncode}"
    if isinstance(program.stderr, str):
        yield from program.stderr.splitlines()[-_MOST_LINES:]
    for argument in program.args:
        if argument.startswith(("http://", "https://")):
            trace = _predicted(edge, lambda url=argument: Request.of(url, source=_SOURCE))  # type: ignore[misc]
            yield f"predicted for a GET:\n{trace}"
