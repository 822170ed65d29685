"""Private keys, some of which are created ahead."""

from __future__ import annotations

import asyncio

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lockgate.certificates.keys import KeySpec, PrivateKey
from lockgate.controllers import keys


def test_keys_created_ahead_are_used_once() -> None:
    keys.create_ahead(1)
    ahead = keys._ahead[0]

    async def story() -> tuple[PrivateKey, PrivateKey, PrivateKey, PrivateKey]:
        other = await keys.generate(KeySpec("ECDSA", 256)), await keys.generate(KeySpec("RSA", 3072))
        return *other, await keys.generate(KeySpec("RSA", 2048)), await keys.generate(KeySpec("RSA", 2048))

    curve, long, first, second = asyncio.run(story())
    assert isinstance(curve, ec.EllipticCurvePrivateKey)
    assert isinstance(long, rsa.RSAPrivateKey)
    assert long.key_size == 3072
    assert first is ahead.result()
    assert second is not first
    assert isinstance(second, rsa.RSAPrivateKey)
    assert second.key_size == 2048
