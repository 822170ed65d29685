"""What a test does with an edge: send requests, predict them, run programs.

Everything that takes time to import is imported when it is first used.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.runtime.environment import CLEARED, environment

if TYPE_CHECKING:
    import ssl

    import httpx

    from lockgate.pytest.trace import Trace
    from lockgate.runtime.state import StateFolder

_PATIENCE = 15.0  # seconds for a response


@dataclass(slots=True)
class Sent:
    """A request that a test sent, and its response, if one came."""

    request: httpx.Request
    response: httpx.Response | None = None


@dataclass(slots=True)
class Memory:
    """What the current test did with the edge, for the report of its failure."""

    sent: list[Sent] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    programs: list[subprocess.CompletedProcess[Any]] = field(default_factory=list)


class Edge:
    """A running edge. `urls` are the hosts that it serves, as URLs."""

    def __init__(self, folder: StateFolder, about: Mapping[str, Any], urls: tuple[str, ...]) -> None:
        self.folder = folder
        self.name = folder.name
        self.about = about
        self.urls = urls
        self.memory = Memory()

    def __repr__(self) -> str:
        return f"<Edge {self.name}>"

    # --- requests ------------------------------------------------------------------------------------------------

    def get(self, url: str, **options: Any) -> httpx.Response:
        """Send a GET through the edge, over real TLS on both hops. `options` are those of `httpx.Client.request`.

        >>> edge.get("https://towpath.example/api/orders", headers={"x-canary": "always"}).status_code
        200
        """
        __tracebackhide__ = True
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Any) -> httpx.Response:
        __tracebackhide__ = True
        return self.request("HEAD", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        __tracebackhide__ = True
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        __tracebackhide__ = True
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> httpx.Response:
        __tracebackhide__ = True
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        __tracebackhide__ = True
        return self.request("DELETE", url, **options)

    def options(self, url: str, **options: Any) -> httpx.Response:
        __tracebackhide__ = True
        return self.request("OPTIONS", url, **options)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Each request has a connection of its own, and no cookies but those in `options`."""
        import httpx

        __tracebackhide__ = True
        try:
            with self.client() as client:
                return client.request(method, url, **options)
        except httpx.TransportError as error:  # without the hundred lines of httpx's own calls
            raise type(error)(str(error), request=error.request) from None

    def client(self, **options: Any) -> httpx.Client:
        """A client with connections and cookies of its own; `options` are those of `httpx.Client`."""
        import httpx

        def remember(request: httpx.Request) -> None:
            self.memory.sent.append(Sent(request))

        return httpx.Client(**self._client_options(options, remember, self._answered))

    def async_client(self, **options: Any) -> httpx.AsyncClient:
        """`client` for asyncio and trio; `options` are those of `httpx.AsyncClient`."""
        import httpx

        async def remember(request: httpx.Request) -> None:
            self.memory.sent.append(Sent(request))

        async def answered(response: httpx.Response) -> None:
            self._answered(response)

        return httpx.AsyncClient(**self._client_options(options, remember, answered))

    def _answered(self, response: httpx.Response) -> None:
        for each in self.memory.sent:
            if each.request is response.request:
                each.response = response

    def _client_options(self, options: Mapping[str, Any], remember: object, answered: object) -> dict[str, Any]:
        hooks = options.get("event_hooks", {})
        ours = {"proxy": self.proxy, "verify": self._tls, "trust_env": False, "timeout": _PATIENCE}
        return {
            **ours,
            **options,
            "event_hooks": {
                "request": [*hooks.get("request", ()), remember],
                "response": [answered, *hooks.get("response", ())],
            },
        }

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made once: reading a CA bundle takes longer than a request."""
        return self.tls()

    def tls(self) -> ssl.SSLContext:
        """A new TLS configuration that trusts the edge. For a client certificate, load it with `load_cert_chain`, and
        pass the result to `client(verify=…)`."""
        import ssl

        return ssl.create_default_context(cafile=self.ca_bundle)

    # --- predictions ---------------------------------------------------------------------------------------------

    def trace(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        source: str = "203.0.113.10",
        http2: bool = False,
        follow: bool = False,
    ) -> Trace:
        """Predict, hop by hop, what the edge does with a request, as `lockgate trace` does. Nothing is sent.

        >>> edge.trace("https://towpath.example/api/orders").backend
        'shop/api:8080'
        """
        from lockgate.trace.model import Request

        pairs = tuple((headers or {}).items())
        request = Request.of(url, method=method, headers=pairs, source=source, http2=http2)
        trace = self.predict(request, follow=follow)
        self.memory.traces.append(trace)
        return trace

    def predict(self, request: Any, *, follow: bool = False) -> Trace:
        """`trace` of a `lockgate.trace.model.Request`."""
        from lockgate.pytest.trace import Trace
        from lockgate.runtime import commands

        return Trace(commands.ask_trace(self.folder, request, follow=follow))

    # --- programs ------------------------------------------------------------------------------------------------

    def exec(self, *command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program that uses the edge as its network, cluster and AWS account, as `lockgate exec` does.

        `options` are those of `subprocess.run`. Output is captured as text unless they say otherwise.

        >>> edge.exec("kubectl", "get", "certificates", "-A", "-o", "name", check=True).stdout
        'certificate.cert-manager.io/towpath\\n'
        """
        inherited = {name: value for name, value in os.environ.items() if name not in CLEARED}
        variables = {**inherited, **self.environment, **(options.pop("env", None) or {})}
        captured = {} if options.keys() & {"stdout", "stderr", "capture_output"} else {"capture_output": True}
        check = options.pop("check", False)
        done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603  the test's own program
            [str(each) for each in command], env=variables, **{"text": True, **captured, **options}
        )
        self.memory.programs.append(done)
        if check:
            done.check_returncode()
        return done

    @cached_property
    def environment(self) -> dict[str, str]:
        """The variables with which programs use the edge."""
        return {**environment(self.about), "LOCKGATE_HOME": str(self.folder.path.parent)}

    @property
    def proxy(self) -> str:
        """The URL of the HTTP proxy that resolves and reaches the edge's hosts."""
        address: str = self.about["addresses"]["proxy"]
        return address

    @property
    def ca_bundle(self) -> Path:
        """The CA certificates that clients of the edge trust."""
        return Path(self.about["files"]["ca_bundle"])

    def forget(self) -> None:
        """Another test begins."""
        self.memory = Memory()
