"""IAM roles at work: who may assume one, and what its sessions may do.

Only roles that exist in IAM are evaluated. Manifests name roles of other accounts, and roles that nobody has created
here: these may be assumed by everybody and do everything, as before there was IAM.

Of a request to Route 53 the resource and the condition keys are evaluated, of other services only the action. An
operator or key that is not served never matches, so an Allow with it allows nothing. Service control policies, session
policies and permissions boundaries are not evaluated.

Source: IAM User Guide, "Policy evaluation logic", "IAM JSON policy elements: Condition operators"; Service
Authorization Reference, "Amazon Route 53"; Amazon EKS User Guide, "IAM roles for service accounts", "EKS Pod Identity".
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from lockgate.embedded.aws.protocol import Call, Refusal

_SESSION: Final = re.compile(r"arn:[\w-]+:sts::\d{12}:assumed-role/(?P<name>[^/]+)/(?P<session>.+)")
_ACCESS_DENIED: Final = {"acm": "AccessDeniedException", "ec2": "UnauthorizedOperation", "eks": "AccessDeniedException"}

Context = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a policy sees it. `context` has condition keys in lower case."""

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)


def known(account: str, name: str) -> Any | None:
    """moto's role, if it exists."""
    if "moto.iam.models" not in sys.modules:
        return None  # no request to IAM has been made
    from moto.iam.models import iam_backends

    roles = iam_backends[account]["aws"].roles.values()
    return next((each for each in roles if each.name == name), None)


def has_provider(account: str, issuer: str) -> bool:
    from moto.iam.models import iam_backends

    arn = f"arn:aws:iam::{account}:oidc-provider/{issuer.removeprefix('https://')}"
    return arn in iam_backends[account]["aws"].open_id_providers


def trusts(role: Any, principal: tuple[str, str], asked: Asked) -> bool:
    """Whether the trust policy lets a principal assume the role: such as ``("Service", "pods.eks.amazonaws.com")``."""
    kind, value = principal
    statements = [
        each
        for each in _statements(role.assume_role_policy_document)
        if isinstance(each.get("Principal"), dict) and value in _several(each["Principal"].get(kind))
    ]
    return _allows([{**each, "Resource": "*"} for each in statements], asked)


def check(account: str, caller_arn: str, call: Call) -> None:
    """Raises `Refusal` if the caller is the session of a role whose policies do not allow the call."""
    match = _SESSION.fullmatch(caller_arn)
    role = known(account, match["name"]) if match else None
    if role is None or (call.service, call.operation) == ("sts", "GetCallerIdentity"):
        return
    documents = [*role.policies.values(), *(each.document for each in role.managed_policies.values())]
    asked = _asked(call)
    if not _allows([each for document in documents for each in _statements(document)], asked):
        text = (
            f"User: {caller_arn} is not authorized to perform: {asked.action} on resource: {asked.resource} because no "
            f"identity-based policy allows the {asked.action} action"
        )
        raise Refusal(_ACCESS_DENIED.get(call.service, "AccessDenied"), text, 403)


def _asked(call: Call) -> Asked:
    action = f"{'elasticloadbalancing' if call.service == 'elbv2' else call.service}:{call.operation}"
    if call.service != "route53":
        return Asked(action)
    given = call.parameters
    if "HostedZoneId" in given:
        resource = f"arn:aws:route53:::hostedzone/{str(given['HostedZoneId']).rpartition('/')[2]}"
    elif call.operation == "GetChange":
        resource = f"arn:aws:route53:::change/{str(given['Id']).rpartition('/')[2]}"
    else:
        return Asked(action)
    changes = (given.get("ChangeBatch") or {}).get("Changes") or ()
    sets = [each["ResourceRecordSet"] for each in changes]
    prefix = "route53:changeresourcerecordsets"
    context = {
        f"{prefix}normalizedrecordnames": [_normalized(each["Name"]) for each in sets],
        f"{prefix}recordtypes": [each["Type"] for each in sets],
        f"{prefix}actions": [each["Action"] for each in changes],
    }
    return Asked(action, resource, context if changes else {})


def _normalized(name: str) -> str:
    return name.lower().rstrip(".").replace("*", "\\052")


# --- evaluation ----------------------------------------------------------------------------------------------------


def _statements(document: Any) -> list[dict[str, Any]]:
    read = json.loads(document) if isinstance(document, str) else document
    found = (read or {}).get("Statement") or ()
    return [found] if isinstance(found, dict) else list(found)


def _allows(statements: Sequence[Mapping[str, Any]], asked: Asked) -> bool:
    effects = {str(each.get("Effect")) for each in statements if _applies(each, asked)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Mapping[str, Any], asked: Asked) -> bool:
    if {"NotAction", "NotResource", "NotPrincipal"} & set(statement):
        return statement.get("Effect") == "Deny"  # not served: the stricter reading
    action = any(fnmatchcase(asked.action.lower(), each.lower()) for each in _several(statement.get("Action")))
    resource = any(fnmatchcase(asked.resource, each) for each in _several(statement.get("Resource")))
    return action and resource and all(_conditions(statement.get("Condition") or {}, asked.context))


def _conditions(condition: Mapping[str, Mapping[str, Any]], context: Context) -> Iterator[bool]:
    for operator, keys in condition.items():
        quantifier, _, plain = operator.rpartition(":")
        for key, expected in keys.items():
            values, patterns = context.get(key.lower()), _several(expected)
            if plain not in ("StringEquals", "StringLike") or quantifier not in ("", "ForAllValues", "ForAnyValue"):
                yield False
            elif values is None:
                yield quantifier == "ForAllValues"  # true of no values
            else:
                found = [any(_matches(plain, each, pattern) for pattern in patterns) for each in values]
                yield any(found) if quantifier == "ForAnyValue" else all(found)


def _matches(operator: str, value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern) if operator == "StringLike" else value == pattern


def _several(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)
