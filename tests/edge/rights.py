"""`plan`, `verify` and `destroy` in this process, as a user whose IAM policy allows only some actions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lockgate.controllers.aws import AwsError
from lockgate.deploy import session as sessions
from lockgate.deploy.account import Account
from lockgate.deploy.planning.plan import Wishes
from lockgate.deploy.session import Session, Target
from lockgate.runtime import settings
from lockgate.runtime.reading import files
from tests.edge.conftest import Up

_PREFIXES = {"elbv2": "elasticloadbalancing"}
_WORDS = {"acls": "ACLs", "acl": "ACL", "id": "ID"}


class Limited(Account):
    """An account in which `allowed` are all actions that may be called, and `denied` one that may not."""

    allowed: frozenset[str] = frozenset()
    denied: str = ""
    met = False

    async def _ask(self, service: str, operation: str, key: str, parameters: dict[str, Any]) -> Any:
        words = (_WORDS.get(each, each.capitalize()) for each in operation.split("_"))
        action = f"{_PREFIXES.get(service, service)}:{''.join(words)}"
        if action != "sts:GetCallerIdentity":  # every user may
            assert action in Limited.allowed, f"{action} is not in the printed policy"
        if action == Limited.denied:
            Limited.met = True
            text = f"User: arn:aws:iam::1:user/team is not authorized to perform: {action} on resource: *"
            raise AwsError(service, operation, "AccessDenied", text)
        return await super()._ask(service, operation, key, parameters)


@asynccontextmanager
async def limited(edge: Up, path: Path, allowed: frozenset[str], patch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    for name, value in json.loads(edge.lockgate("env", "--output", "json").stdout).items():
        if name.startswith("AWS") or name == "KUBECONFIG":
            patch.setenv(name, value)
    patch.setattr(sessions, "Account", Limited)
    Limited.allowed, Limited.denied = allowed, ""
    manifests, options = files.load((str(path),)), settings.options((str(path),), name=edge.name)
    async with sessions.session(Target(), manifests, options, Wishes()) as opened:
        yield opened


def denying(action: str) -> None:
    Limited.denied, Limited.met = action, False


def was_met() -> bool:
    return Limited.met
