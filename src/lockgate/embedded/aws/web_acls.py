"""moto's WAFv2, where a web ACL meets a load balancer: moto would associate several with one, and with anything.

Source: WAFv2 API Reference, AssociateWebACL, ListResourcesForWebACL, DeleteWebACL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockgate.embedded.aws.protocol import Call, Refusal, Result

OPERATIONS = frozenset({"AssociateWebACL", "ListResourcesForWebACL", "GetWebACLForResource", "DeleteWebACL"})


def answer(account: str, call: Call, exists: Callable[[str], bool]) -> Result | None:
    """None where moto is to answer. `exists` tells of a load balancer by its ARN. Raises `Refusal`."""
    backend = _backend(account, call.region)
    _forget_deleted(backend, exists)
    given = call.parameters
    match call.operation:
        case "AssociateWebACL":
            return _associate(backend, given["WebACLArn"], given["ResourceArn"], exists)
        case "ListResourcesForWebACL":
            if given.get("ResourceType", "APPLICATION_LOAD_BALANCER") != "APPLICATION_LOAD_BALANCER":
                return {"ResourceArns": []}
            return {"ResourceArns": list(_find(backend, given["WebACLArn"]).associated_resources)}
        case "DeleteWebACL":
            if any(acl.id == given["Id"] and acl.associated_resources for acl in backend.wacls.values()):
                raise Refusal(
                    "WAFAssociatedItemException",
                    "AWS WAF couldn’t perform the operation because your resource is being used by another resource or "
                    "it’s associated with another resource.",
                )
            return None
        case _:
            return None


def associations(account: str, region: str, exists: Callable[[str], bool]) -> dict[str, str]:
    """Web ACLs' ARNs by the load balancers'."""
    backend = _backend(account, region)
    _forget_deleted(backend, exists)
    return {resource: acl.arn for acl in backend.wacls.values() for resource in acl.associated_resources}


def _associate(backend: Any, acl: str, resource: str, exists: Callable[[str], bool]) -> Result:
    chosen = _find(backend, acl)
    if not exists(resource):
        raise _missing()
    for other in backend.wacls.values():
        if resource in other.associated_resources:
            other.associated_resources.remove(resource)
    chosen.associated_resources.append(resource)
    return {}


def _forget_deleted(backend: Any, exists: Callable[[str], bool]) -> None:
    """A load balancer takes its association with it."""
    for acl in backend.wacls.values():
        acl.associated_resources[:] = [arn for arn in acl.associated_resources if exists(arn)]


def _find(backend: Any, arn: str) -> Any:
    if arn not in backend.wacls:
        raise _missing()
    return backend.wacls[arn]


def _missing() -> Refusal:
    return Refusal(
        "WAFNonexistentItemException",
        "AWS WAF couldn’t perform the operation because your resource doesn’t exist.",
    )


def _backend(account: str, region: str) -> Any:
    from moto.wafv2.models import wafv2_backends

    return wafv2_backends[account][region]
