"""Creates private keys on a thread, because creating an RSA key would block the loop noticeably."""

from __future__ import annotations

import asyncio

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lockgate.certificates.keys import CURVES, KeySpec, PrivateKey


async def generate(spec: KeySpec) -> PrivateKey:
    return await asyncio.to_thread(_generate, spec)


def _generate(spec: KeySpec) -> PrivateKey:
    match spec.algorithm:
        case "RSA":
            return rsa.generate_private_key(65537, spec.size)
        case "ECDSA":
            return ec.generate_private_key(CURVES[spec.size]())
        case "Ed25519":
            return ed25519.Ed25519PrivateKey.generate()
