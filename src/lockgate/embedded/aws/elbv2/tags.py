"""Tags of all resources with an ARN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.embedded.aws.elbv2.state import Shape, State
from lockgate.embedded.aws.protocol import Refusal, Result

TAGS = 50  # per resource
RESOURCES = 20  # per call of DescribeTags


def read(given: Sequence[Mapping[str, Any]], current: Mapping[str, str] | None = None) -> dict[str, str]:
    """`current`, updated with the given tags. Raises `Refusal`."""
    keys = [tag["Key"] for tag in given]
    if len(set(keys)) < len(keys):
        raise Refusal("DuplicateTagKeys", "A tag key was specified more than once")
    for key in keys:
        if key.lower().startswith("aws:"):
            raise Refusal("ValidationError", f"Tag key '{key}' is not valid: the prefix 'aws:' is reserved")
    tags = dict(current or {}) | {tag["Key"]: tag.get("Value", "") for tag in given}
    if len(tags) > TAGS:
        raise Refusal("TooManyTags", "You've reached the limit on the number of tags for this resource")
    return tags


def add(state: State, given: Shape) -> Result:
    owners = [_owner(state, arn) for arn in given["ResourceArns"]]
    changed = [read(given["Tags"], owner.tags) for owner in owners]
    for owner, tags in zip(owners, changed, strict=True):
        owner.tags = tags
    return {}


def remove(state: State, given: Shape) -> Result:
    for owner in [_owner(state, arn) for arn in given["ResourceArns"]]:
        for key in given["TagKeys"]:
            owner.tags.pop(key, None)
    return {}


def describe(state: State, given: Shape) -> Result:
    arns = given["ResourceArns"]
    if len(arns) > RESOURCES:
        raise Refusal("ValidationError", f"Up to '{RESOURCES}' resource ARNs can be specified; '{len(arns)}' were")
    return {
        "TagDescriptions": [
            {
                "ResourceArn": arn,
                "Tags": [{"Key": key, "Value": value} for key, value in _owner(state, arn).tags.items()],
            }
            for arn in arns
        ]
    }


def _owner(state: State, arn: str) -> Any:
    kind = arn.split(":", 5)[-1].partition("/")[0]
    match kind:
        case "loadbalancer":
            return state.load_balancer(arn)
        case "listener":
            return state.listener(arn)
        case "listener-rule":
            default = next((item for item in state.listeners.values() if item.default_rule == arn), None)
            return default or state.rule(arn)
        case "targetgroup":
            return state.target_group(arn)
        case "truststore":
            return state.trust_store(arn)
        case _:
            raise Refusal("ValidationError", f"'{arn}' is not a valid ARN")
