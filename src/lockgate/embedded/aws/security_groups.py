"""Keeps a security group that a rule of another one refers to, as EC2 does. moto deletes it.

Source: Amazon EC2 API Reference, "DeleteSecurityGroup", DependencyViolation.
"""

from __future__ import annotations

from collections.abc import Callable

from lockgate.embedded.aws.protocol import Call, Refusal, Result

OPERATIONS = frozenset({"DeleteSecurityGroup"})


def answer(account: str, call: Call, exists: Callable[[str], bool]) -> Result | None:
    """Returns None: moto answers what is not refused. Raises `Refusal`."""
    from moto.ec2.models import ec2_backends

    deleted = call.parameters.get("GroupId")
    groups = (each for by_id in ec2_backends[account][call.region].groups.values() for each in by_id.values())
    for group in groups:
        rules = (*group.ingress_rules, *group.egress_rules)
        if group.id != deleted and any(deleted == (rule.source_group or {}).get("GroupId") for rule in rules):
            raise Refusal("DependencyViolation", f"resource {deleted} has a dependent object")
    return None
