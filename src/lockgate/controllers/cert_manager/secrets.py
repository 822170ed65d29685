"""Reads the keys of Secrets that issuers reference, with cert-manager's messages for missing ones."""

from __future__ import annotations

from lockgate.controllers.kubernetes import Kubernetes
from lockgate.resources import core
from lockgate.resources.status import NotFound


class SecretProblem(Exception):
    """A Secret or key does not exist. The message names both, never a value."""


async def find(kubernetes: Kubernetes, namespace: str, name: str) -> core.Secret | None:
    try:
        return await kubernetes.get(core.Secret, name, namespace)
    except NotFound:
        return None


async def read(kubernetes: Kubernetes, namespace: str, name: str, key: str) -> bytes:
    """Raises `SecretProblem`."""
    secret = await find(kubernetes, namespace, name)
    if secret is None:
        raise SecretProblem(f'secret "{name}" not found')
    value = secret.decoded.get(key)
    if value is None:
        raise SecretProblem(f"key '{key}' not found in secret")
    return value
