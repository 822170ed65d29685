"""The only module that uses boto3. Blocking calls run on threads; each service's client is created once."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, TypeAlias

JsonValue = Any  # botocore's responses are untyped; controllers convert them to values

Retries: TypeAlias = Mapping[str, str | int]  # botocore's
STANDARD: Final[Retries] = MappingProxyType({"mode": "standard", "max_attempts": 3})

Send: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]
"""From method, URL, headers and body of a signed request to status, headers and body of its response; may block."""


def preload() -> None:
    """Imports boto3 now instead of at the first call, for a process that has other users of botocore.

    Each of them, and each session, would read the service models again: EC2's takes 50 ms and 15 MiB. Here each file is
    read once in the process, without the documentation of shapes, and into plain dicts, which are half as large.
    """
    import boto3  # noqa: F401
    from botocore.loaders import JSONFileLoader

    files: Any = JSONFileLoader
    if not isinstance(files.__dict__["load_file"], staticmethod):
        files._load_file = _read
        files.load_file = staticmethod(_once(files().load_file))


def _read(_loader: object, path: str, open_method: Callable[[str, str], IO[bytes]]) -> JsonValue:
    if not Path(path).is_file():
        return None
    with open_method(path, "rb") as file:
        return json.load(file, object_hook=_without_documentation)


def _without_documentation(found: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Empty, but there, because botocore reads that of some parameters. It may also be the name of a member."""
    if isinstance(found.get("documentation"), str):
        found["documentation"] = ""
    return found


def _once(read: Callable[[str], JsonValue]) -> Callable[[str], JsonValue]:
    """The users of a model may add shapes and metadata: each gets mappings of its own, with the same content."""
    content = cache(read)

    def load(path: str) -> JsonValue:
        found = content(path)
        return {key: copy(value) for key, value in found.items()} if isinstance(found, dict) else found

    return load


def default_region(profile: str | None) -> str | None:
    """The region of the environment or the profile. Raises `AwsError` for a profile that does not exist."""
    import boto3

    with _errors("sts", "session"):
        found: str | None = boto3.session.Session(profile_name=profile).region_name
    return os.environ.get("AWS_REGION") or found  # of the AWS SDKs only boto3 does not read it


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A completed call. `service` is a service ID, ``Elastic Load Balancing v2``; `error` is "" for success."""

    service: str
    operation: str
    status: int
    error: str
    seconds: float
    retries: int


Called: TypeAlias = Callable[[ApiCall], None]


class AwsError(Exception):
    """An error response: `code` and `message` are the service's, for example ``CertificateNotFound``."""

    def __init__(self, service: str, operation: str, code: str, message: str) -> None:
        super().__init__(f"{service} {operation}: {code}: {message}")
        self.service = service
        self.operation = operation
        self.code = code
        self.message = message


class Aws:
    """An account in a region. `endpoint` is the embedded API's address, or None for AWS itself.

    With `send`, requests are passed to it, in wire format, instead of being sent to the endpoint. Without keys, boto3
    finds credentials as every AWS program does, with those of `profile` first.
    """

    def __init__(
        self,
        *,
        region: str,
        endpoint: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        workers: int = 4,
        send: Send | None = None,
        profile: str | None = None,
        retries: Retries = STANDARD,
    ) -> None:
        self.region = region
        self._profile = profile
        self._retries = retries
        self._endpoint = endpoint
        self._send = send
        self._credentials = (access_key_id, secret_access_key, session_token)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="aws")
        self._clients: dict[str, Any] = {}
        self._paginators: dict[tuple[Any, str], Any] = {}
        self._sessions: list[Any] = []  # one, once it is needed
        self._making = threading.Lock()  # boto3 sessions are not thread-safe
        self._called: Called | None = None
        self._now = threading.local()  # whose call a thread makes, and since when

    @staticmethod
    def of_profile(profile: str | None, region: str | None) -> Aws | None:
        """The account of botocore's own chain of credentials; None if it has none or no region.

        Raises `ValueError` if there is no such profile.
        """
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            session = boto3.session.Session(profile_name=profile, region_name=region)
            if session.get_credentials() is None or not session.region_name:
                return None
        except BotoCoreError as error:
            raise ValueError(str(error)) from error
        return Aws(region=session.region_name, profile=profile)

    def for_caller(self, called: Called) -> Aws:
        """The same account with the same clients. `called` gets each completed call of this caller, on its thread."""
        view = copy(self)
        view._called = called
        return view

    async def call(self, service: str, operation: str, **parameters: JsonValue) -> JsonValue:
        """`operation` is boto3's method name (``describe_listeners``). Raises `AwsError`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._call, service, operation, parameters)

    async def list(self, service: str, operation: str, key: str, **parameters: JsonValue) -> list[JsonValue]:
        """The items under `key` of all pages of a listing."""
        loop = asyncio.get_running_loop()
        return list(await loop.run_in_executor(self._threads, self._list, service, operation, key, parameters))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _call(self, service: str, operation: str, parameters: dict[str, JsonValue]) -> JsonValue:
        self._now.called = self._called
        with _errors(service, operation):
            return getattr(self._client(service), operation)(**parameters)

    def _list(self, service: str, operation: str, key: str, parameters: dict[str, JsonValue]) -> Sequence[JsonValue]:
        client = self._client(service)
        if not client.can_paginate(operation):
            found: Sequence[JsonValue] = self._call(service, operation, parameters)[key]
            return found
        self._now.called = self._called
        with _errors(service, operation):
            pages = self._paginator(client, operation).paginate(**parameters)
            return [item for page in pages for item in page.get(key, ())]

    def _paginator(self, client: Any, operation: str) -> Any:
        """Cached, because botocore creates a class for each paginator."""
        at = (client, operation)
        if at not in self._paginators:
            self._paginators[at] = client.get_paginator(operation)
        return self._paginators[at]

    def _client(self, service: str) -> Any:
        with self._making:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def _make(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        if not self._sessions:
            key, secret, token = self._credentials
            made = boto3.session.Session(
                region_name=self.region,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                aws_session_token=token,
                profile_name=self._profile,
            )
            self._sessions.append(made)
        client = self._sessions[0].client(
            service,
            endpoint_url=self._endpoint,
            # The service validates parameters, as for the components' own SDKs.
            config=Config(
                max_pool_connections=16,
                retries=dict(self._retries),
                parameter_validation=False,
            ),
        )
        if self._send is not None:
            client.meta.events.register("before-send", self._hand_over)
        client.meta.events.register("before-call", self._before)
        client.meta.events.register("after-call", self._after)
        return client

    def _before(self, **_: Any) -> None:
        self._now.began = time.monotonic()

    def _after(self, http_response: Any, parsed: Any, model: Any, **_: Any) -> None:
        if (called := getattr(self._now, "called", None)) is None:
            return
        metadata = parsed.get("ResponseMetadata") or {}
        called(
            ApiCall(
                model.service_model.service_id,
                model.name,
                http_response.status_code,
                str((parsed.get("Error") or {}).get("Code", "")),
                time.monotonic() - self._now.began,
                metadata.get("RetryAttempts", 0),
            )
        )

    def _hand_over(self, request: Any, **_: Any) -> Any:
        """botocore uses the result of a `before-send` handler as the response."""
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders
        from urllib3 import HTTPResponse

        assert self._send is not None
        texts = {
            key: value.decode() if isinstance(value, bytes) else str(value) for key, value in request.headers.items()
        }
        body = request.body or b""
        status, headers, content = self._send(
            request.method, request.url, texts, body.encode() if isinstance(body, str) else body
        )
        raw = HTTPResponse(BytesIO(content), preload_content=False)
        return AWSResponse(request.url, status, HTTPHeaders.from_pairs(headers.items()), raw)


@contextmanager
def _errors(service: str, operation: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        detail = error.response.get("Error", {})
        raise AwsError(service, operation, detail.get("Code", ""), detail.get("Message", str(error))) from error
    except BotoCoreError as error:  # no response: a refused connection, no credentials
        raise AwsError(service, operation, type(error).__name__, str(error)) from error
