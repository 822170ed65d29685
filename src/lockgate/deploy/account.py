"""The AWS account as `plan` reads it: each question is asked once, however many readers need its answer."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from lockgate.controllers.aws import Aws, AwsError, Retries, default_region
from lockgate.errors import CommandError
from lockgate.resources.arns import REGIONS

_WORKERS = 12
# Back-off with jitter, and after the first throttled call only as many calls a second as AWS accepts. botocore's
# standard mode gives up after a hundred retries, and a plan of many load balancers takes thousands of calls.
_RETRIES: Retries = {"mode": "adaptive", "max_attempts": 8}
_BY_ID = {  # listings that can be asked for some items: the parameter, and where an item has its ID
    "describe_load_balancers": ("LoadBalancerArns", "LoadBalancerArn"),
    "describe_target_groups": ("TargetGroupArns", "TargetGroupArn"),
    "describe_security_groups": ("GroupIds", "GroupId"),
}


class NoAccount(CommandError):
    """No credentials, or none that AWS accepts."""

    hint = "set AWS_PROFILE or --profile; `aws sts get-caller-identity` must succeed"


class NoRegion(CommandError):
    """Nothing says in which region the cluster is."""

    hint = "set AWS_REGION, or give --region"


class Denied(CommandError):
    """The credentials lack an action without which nothing can be said."""

    hint = "add the action to the policy: `lockgate plan --output json` prints it under `iam`"


class Failed(CommandError):
    """AWS refuses a call for another reason."""

    hint = "try again; what was done stays done"


class Account(Aws):
    """Answers of reads are remembered until `forget`, and items of a listing are not asked for again one by one.

    `calls` counts the calls by service and boto3's method.
    """

    def __init__(self, *, region: str, profile: str | None = None) -> None:
        super().__init__(region=region, profile=profile, workers=_WORKERS, retries=_RETRIES)
        self.calls: Counter[tuple[str, str]] = Counter()
        self._answers: dict[tuple[str, str, str, str], asyncio.Task[Any]] = {}
        self._items: dict[str, dict[str, Any]] = {}

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        return await self._once(service, operation, "", parameters)

    async def list(self, service: str, operation: str, key: str, **parameters: Any) -> list[Any]:
        asked, id_ = _BY_ID.get(operation, ("", ""))
        known = self._items.setdefault(operation, {})
        if parameters.keys() == {asked} and all(each in known for each in parameters[asked]):
            return [known[each] for each in parameters[asked]]
        found = list(await self._once(service, operation, key, parameters))
        if id_:
            known.update((each[id_], each) for each in found)
        return found

    def forget(self) -> None:
        self._answers.clear()
        self._items = {}

    async def _once(self, service: str, operation: str, key: str, parameters: dict[str, Any]) -> Any:
        if not operation.startswith(("describe_", "get_", "list_")):
            self.forget()
            return await self._ask(service, operation, key, parameters)
        at = (service, operation, key, json.dumps(parameters, sort_keys=True, default=str))
        if at not in self._answers:
            self._answers[at] = asyncio.create_task(self._ask(service, operation, key, parameters))
        return await asyncio.shield(self._answers[at])

    async def _ask(self, service: str, operation: str, key: str, parameters: dict[str, Any]) -> Any:
        self.calls[service, operation] += 1
        if key:
            return await super().list(service, operation, key, **parameters)
        return await super().call(service, operation, **parameters)


def is_denied(error: AwsError) -> bool:
    return error.code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


def region_of(named: str | None, of_cluster: str, profile: str | None) -> str:
    """The option, else the cluster's, else that of the environment or the profile. Raises `NoRegion`, `NoAccount`."""
    if found := named or of_cluster:
        return _known(found)
    try:
        default = default_region(profile)
    except AwsError as error:
        raise NoAccount(error.message) from None
    if not default:
        raise NoRegion("no AWS region is set, and the kubeconfig names no cluster of EKS")
    return _known(default)


def _known(region: str) -> str:
    if region not in REGIONS:
        raise NoRegion(f"{region} is not a region of AWS")
    return region
