"""Creates private keys on threads, because creating an RSA key takes 20 to 200 ms.

The keys that an edge needs at its start can be created ahead: one CPU is idle while the interpreter imports modules.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lockgate.certificates.keys import CURVES, KeySpec, PrivateKey

_USUAL = KeySpec("RSA", 2048)  # of ACM's certificates, and of cert-manager's accounts and certificates
_ahead: deque[Future[PrivateKey]] = deque()


def create_ahead(number: int) -> None:
    """Starts creating RSA keys of the usual size, for the next calls of `generate`."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="keys")
    _ahead.extend(thread.submit(_generate, _USUAL) for _ in range(number))
    thread.shutdown(wait=False)


async def generate(spec: KeySpec) -> PrivateKey:
    if spec == _USUAL and _ahead:
        return await asyncio.wrap_future(_ahead.popleft())
    return await asyncio.to_thread(_generate, spec)


def _generate(spec: KeySpec) -> PrivateKey:
    match spec.algorithm:
        case "RSA":
            return rsa.generate_private_key(65537, spec.size)
        case "ECDSA":
            return ec.generate_private_key(CURVES[spec.size]())
        case "Ed25519":
            return ed25519.Ed25519PrivateKey.generate()
