"""The TLS side of a server whose key stays in memory."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

KeyPair = tuple[str, str]  # chain and key, as PEM
_HOSTS = 256  # certificates that a server keeps, one for each server name that clients asked for


def server_context(chain: str, key: str) -> ssl.SSLContext:
    """A context for HTTP/1.1 and HTTP/2. Python loads keys from files only, so these are pipes."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"])
    with _pipe(chain) as chain_file, _pipe(key) as key_file:
        context.load_cert_chain(chain_file, key_file)
    return context


@contextmanager
def _pipe(text: str) -> Iterator[str]:
    """A path from which the text can be read once. It must fit into a pipe (16 KiB on macOS)."""
    reading, writing = os.pipe()
    try:
        os.write(writing, text.encode())
        os.close(writing)
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


def any_host_context(key_pair: Callable[[Sequence[str]], KeyPair], names: Sequence[str]) -> ssl.SSLContext:
    """A context whose certificate has `names` and the server name that the client asks for."""
    default = server_context(*key_pair(names))
    by_host: dict[str, ssl.SSLContext] = {}

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, host: str | None, _: ssl.SSLContext) -> None:
        if not host or host in names:
            return
        if host not in by_host:
            if len(by_host) == _HOSTS:
                by_host.clear()
            by_host[host] = server_context(*key_pair((host, *names)))
        connection.context = by_host[host]

    default.sni_callback = choose
    return default
