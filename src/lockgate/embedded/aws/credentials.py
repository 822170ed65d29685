"""The access keys that the account's API accepts: permanent ones, and temporary ones from STS."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AccessKey:
    """`session_token` and `expires` are for temporary keys. `arn` and `user_id` identify the caller."""

    id: str
    secret: str = field(repr=False)
    arn: str
    user_id: str
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


class AccessKeys(Mapping[str, AccessKey]):
    """Keys by ID. Expired ones are kept for `remembered`, so that they are refused as expired, not as unknown."""

    remembered = 4096

    def __init__(self) -> None:
        self._keys: dict[str, AccessKey] = {}

    def __getitem__(self, id_: str) -> AccessKey:
        return self._keys[id_]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def allow(self, id_: str, secret: str, account: str) -> None:
        """Adds a permanent key. An existing one gets this secret."""
        self._keys[id_] = AccessKey(
            id_, secret, f"arn:aws:iam::{account}:user/lockgate", id_.replace("AKIA", "AIDA", 1)
        )

    def lend(self, arn: str, user_id: str, expires: datetime, now: datetime) -> AccessKey:
        """Creates a temporary key for the identity `arn`."""
        if len(self._keys) > self.remembered:
            self._keys = {id_: key for id_, key in self._keys.items() if key.expires is None or key.expires > now}
        key = AccessKey(
            id="ASIA" + unique_id(),
            secret=secrets.token_urlsafe(30),
            arn=arn,
            user_id=user_id,
            session_token=base64.b64encode(secrets.token_bytes(192)).decode(),
            expires=expires,
        )
        self._keys[key.id] = key
        return key


def unique_id() -> str:
    """The part of an IAM ID after its prefix: 16 characters of base 32."""
    return base64.b32encode(secrets.token_bytes(10)).decode()
