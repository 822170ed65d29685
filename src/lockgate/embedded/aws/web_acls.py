"""WAFv2 where moto differs from AWS: missing checks and operations, and updates that must replace, not merge.

Source: WAFv2 API Reference, its operations and their errors; AWS WAF Developer Guide, "AWS WAF quotas".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from lockgate.embedded.aws import constraints, waf_rules
from lockgate.embedded.aws.protocol import Call, Refusal, Result
from lockgate.embedded.aws.waf_rules import invalid
from lockgate.loadbalancer.waf.capacity import MOST, capacity
from lockgate.loadbalancer.waf.references import references_of

_VERBS: Final = ("Create", "Update", "Delete", "Get")
_KINDS: Final = ("WebACL", "RuleGroup", "IPSet", "RegexPatternSet")
OPERATIONS = frozenset(
    {verb + kind for verb in _VERBS for kind in _KINDS}
    | {"AssociateWebACL", "DisassociateWebACL", "ListResourcesForWebACL", "GetWebACLForResource", "CheckCapacity"}
)

Exists = Callable[[str], bool]


def answer(account: str, call: Call, exists: Exists) -> Result | None:
    """Returns None if moto must answer. `exists` is whether a load balancer exists, by its ARN. Raises `Refusal`."""
    constraints.check(call)
    given = call.parameters
    backend = _backend(account, _region(call))
    _forget_deleted(backend, exists)
    match call.operation:
        case "AssociateWebACL":
            return _associate(backend, given["WebACLArn"], given["ResourceArn"], exists)
        case "DisassociateWebACL" if not exists(given["ResourceArn"]):
            raise _missing()
        case "ListResourcesForWebACL":
            if given.get("ResourceType", "APPLICATION_LOAD_BALANCER") != "APPLICATION_LOAD_BALANCER":
                return {"ResourceArns": []}
            return {"ResourceArns": list(_find(backend, given["WebACLArn"]).associated_resources)}
        case "CheckCapacity":
            waf_rules.check(given["Rules"], _AnyKey(), _known(backend), in_group=False)
            return {"Capacity": capacity(given["Rules"], _capacities(backend))}
        case "CreateWebACL" | "UpdateWebACL" | "CreateRuleGroup" | "UpdateRuleGroup":
            _check_rules(backend, call)
        case "CreateIPSet":
            return _create_ip_set(backend, call)
        case "UpdateIPSet":
            return _update_ip_set(backend, call)
        case "CreateRegexPatternSet" | "UpdateRegexPatternSet":
            patterns = [each.get("RegexString", "") for each in given["RegularExpressionList"]]
            waf_rules.check_patterns(patterns, "REGEX_PATTERN_SET")
        case "GetWebACL" | "GetWebACLForResource":
            for acl in backend.wacls.values():
                acl.capacity = capacity(_json(acl.rules), _capacities(backend))
    if call.operation.startswith("Create"):
        _check_name(backend, call)
    elif call.operation.startswith("Update"):
        _replace(backend, call)
    elif call.operation.startswith("Delete"):
        _check_unused(backend, call)
    return None


def create(account: str, region: str, name: str, arn: str) -> None:
    """Creates a web ACL that allows everything, with exactly this ARN if given. An existing one is unchanged."""
    backend = _backend(account, region)
    if any(each.name == name for each in backend.wacls.values()):
        return
    visibility = {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": name}
    nothing = dict.fromkeys(
        ("association_config", "captcha_config", "challenge_config", "custom_response_bodies", "token_domains")
    )
    made = backend.create_web_acl(
        name=name,
        visibility_config=visibility,
        default_action={"Allow": {}},
        scope="REGIONAL",
        description="",
        tags=[],
        rules=[],
        **nothing,
    )
    if arn:
        del backend.wacls[made.arn]
        made.arn, made.id = arn, arn.rpartition("/")[2]
        backend.wacls[arn] = made


def associations(account: str, region: str, exists: Exists) -> dict[str, str]:
    """The ARNs of web ACLs, by the ARNs of their load balancers."""
    backend = _backend(account, region)
    _forget_deleted(backend, exists)
    return {resource: acl.arn for acl in backend.wacls.values() for resource in acl.associated_resources}


class _AnyKey(Sequence[str]):
    """CheckCapacity gets rules without the custom response bodies that they reference."""

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, index: Any) -> Any:
        raise IndexError(index)

    def __len__(self) -> int:
        return 0


# --- checks -------------------------------------------------------------------------------------------------------


def _check_rules(backend: Any, call: Call) -> None:
    given, in_group = call.parameters, call.operation.endswith("RuleGroup")
    bodies, rules = given.get("CustomResponseBodies") or {}, given.get("Rules") or ()
    waf_rules.check(rules, bodies, _known(backend), in_group=in_group)
    if not in_group:
        waf_rules.check_action(given["DefaultAction"], "DEFAULT_ACTION", bodies)
    needed = capacity(rules, _capacities(backend))
    if needed > MOST:
        raise Refusal(
            "WAFLimitsExceededException",
            "AWS WAF couldn’t perform the operation because you exceeded your resource limit.",
        )
    limits = [given["Capacity"]] if "Capacity" in given else [kept.capacity for kept in _of(backend, call)]
    if in_group and any(needed > limit for limit in limits):
        raise invalid(waf_rules.TOO_FEW, "RULE_GROUP", "Capacity")


def _check_name(backend: Any, call: Call) -> None:
    scope = call.parameters["Scope"]
    if any(each.name == call.parameters["Name"] and _scope(each) == scope for each in _kept(backend, call).values()):
        raise Refusal(
            "WAFDuplicateItemException",
            "AWS WAF couldn’t perform the operation because some resource in your request is a duplicate of an "
            "existing one.",
        )


def _check_unused(backend: Any, call: Call) -> None:
    """Refuses to delete an associated web ACL, and a set or group that rules reference."""
    for item in _of(backend, call):
        users = [arn for owner in _owners(backend) for arn in references_of(_json(owner.rules))]
        if item.arn in users or getattr(item, "associated_resources", None):
            raise Refusal(
                "WAFAssociatedItemException",
                "AWS WAF couldn’t perform the operation because your resource is being used by another resource or "
                "it’s associated with another resource.",
            )


def _replace(backend: Any, call: Call) -> None:
    """An update replaces all settings: a missing one is removed. moto would keep it."""
    for item in _of(backend, call):
        if item.lock_token != call.parameters["LockToken"]:
            continue  # moto refuses the update
        item.description = ""
        if hasattr(item, "rules"):
            item.rules, item.custom_response_bodies = [], None


# --- IP sets, whose lock tokens have another form in moto ----------------------------------------------------------


def _create_ip_set(backend: Any, call: Call) -> Result:
    given = call.parameters
    waf_rules.check_addresses(given["Addresses"], given["IPAddressVersion"])
    _check_name(backend, call)
    made = backend.create_ip_set(
        given["Name"],
        given["Scope"],
        given.get("Description", ""),
        given["IPAddressVersion"],
        given["Addresses"],
        given.get("Tags") or [],
    )
    made.lock_token = str(uuid4())
    summary = {"Name": made.name, "Id": made.ip_set_id, "Description": made.description, "ARN": made.arn}
    return {"Summary": summary | {"LockToken": made.lock_token}}


def _update_ip_set(backend: Any, call: Call) -> Result:
    given = call.parameters
    kept = next(_of(backend, call), None)
    if kept is None:
        raise _missing()
    if kept.lock_token != given["LockToken"]:
        raise Refusal(
            "WAFOptimisticLockException",
            "AWS WAF couldn’t save your changes because someone changed the resource after you started to edit it. "
            "Reapply your changes.",
        )
    waf_rules.check_addresses(given["Addresses"], kept.ip_address_version)
    kept.update(given.get("Description", ""), given["Addresses"])
    kept.lock_token = str(uuid4())
    return {"NextLockToken": kept.lock_token}


# --- associations ------------------------------------------------------------------------------------------------


def _associate(backend: Any, acl: str, resource: str, exists: Exists) -> Result:
    if ":loadbalancer/app/" not in resource:
        raise invalid(
            "The ARN isn't valid. A valid ARN begins with arn: and includes other information separated by colons or "
            "slashes.",
            "RESOURCE_ARN",
            resource,
        )
    chosen = _find(backend, acl)
    if not exists(resource):
        raise _missing()
    for other in backend.wacls.values():
        if resource in other.associated_resources:
            other.associated_resources.remove(resource)
    chosen.associated_resources.append(resource)
    return {}


def _forget_deleted(backend: Any, exists: Exists) -> None:
    """The association of a load balancer is deleted with it."""
    for acl in backend.wacls.values():
        acl.associated_resources[:] = [arn for arn in acl.associated_resources if exists(arn)]


# --- moto's state ------------------------------------------------------------------------------------------------


def _region(call: Call) -> str:
    """moto's backend for the call. CloudFront has its own."""
    if call.parameters.get("Scope") != "CLOUDFRONT":
        return call.region
    if call.region != "us-east-1":
        raise invalid("The scope is not valid.", "SCOPE_VALUE", "CLOUDFRONT")
    return "global"


def _backend(account: str, region: str) -> Any:
    from moto.wafv2.models import wafv2_backends

    return wafv2_backends[account][region]


def _kept(backend: Any, call: Call) -> Mapping[str, Any]:
    """All resources of the operation's kind, by ARN."""
    kind = next(kind for kind in _KINDS if call.operation.endswith(kind))
    kept = {
        "WebACL": backend.wacls,
        "RuleGroup": backend.rule_groups,
        "IPSet": backend.ip_sets,
        "RegexPatternSet": backend.regex_pattern_sets,
    }[kind]
    assert isinstance(kept, Mapping)
    return kept


def _of(backend: Any, call: Call) -> Iterator[Any]:
    """The resource with the call's name and ID, if it exists."""
    named = (call.parameters.get("Name"), call.parameters.get("Id"))
    yield from (item for arn, item in _kept(backend, call).items() if (item.name, arn.rpartition("/")[2]) == named)


def _owners(backend: Any) -> list[Any]:
    return [*backend.wacls.values(), *backend.rule_groups.values()]


def _known(backend: Any) -> dict[str, Sequence[str]]:
    """What rules may reference: the names of rules by the ARN of a group, nothing by the ARN of a set."""
    groups = {arn: [rule.name for rule in group.rules] for arn, group in backend.rule_groups.items()}
    return groups | dict.fromkeys([*backend.ip_sets, *backend.regex_pattern_sets], ())


def _capacities(backend: Any) -> dict[str, int]:
    return {arn: group.capacity for arn, group in backend.rule_groups.items()}


def _json(rules: Sequence[Any]) -> list[dict[str, Any]]:
    return [rule.to_dict() for rule in rules]


def _scope(item: Any) -> str:
    return "CLOUDFRONT" if ":global/" in item.arn else "REGIONAL"


def _find(backend: Any, arn: str) -> Any:
    if arn not in backend.wacls:
        raise _missing()
    return backend.wacls[arn]


def _missing() -> Refusal:
    return Refusal(
        "WAFNonexistentItemException",
        "AWS WAF couldn’t perform the operation because your resource doesn’t exist.",
    )
