"""LG90xx: this machine, and the APIs and Envoys that run on it."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

UNREADABLE = Code(
    "LG9001",
    _ERROR,
    "A file that cannot be read",
    message="cannot be read: {reason}",
    why="What it holds is not part of the edge.",
)
TOO_MUCH = UNREADABLE.variant("not read: there are more than {limit}", "name a smaller folder")
LEADS_BACK = Code(
    "LG9006",
    _INFO,
    "A link to a folder that is read already",
    message="this link leads back to {folder}, which is read once",
    why="Following it again would never end.",
)
REFUSED = Code(
    "LG9002",
    _ERROR,
    "Refused by the Kubernetes API",
    message="the Kubernetes API refuses {object}: {refusal}",
    fix="mend the object; the others are applied",
    why="The object is not part of the edge, or stays as it was.",
)
REJECTED = Code(
    "LG9003",
    _ERROR,
    "Rejected by Envoy",
    message="{rejection}",
    why="What Envoy had accepted before goes on serving; where there is nothing from before, nothing is served.",
)
NOT_MADE = Code(
    "LG9004",
    _ERROR,
    "What manifests take for granted cannot be made",
    message="{piece}: {reason}",
    why="The piece does not exist in this edge's account, and what leans on it waits for it.",
)
NOT_EVALUATED = Code(
    "LG9005",
    _WARNING,
    "A rule of a web ACL that is not evaluated",
    message="rule {rule} of web ACL {web_acl} is not evaluated: {reason}",
    why="Requests pass it as if it were not met: on AWS some may be counted, blocked or challenged.",
)
