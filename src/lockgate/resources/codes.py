"""Every code that a `Finding` may carry, each defined once: what it is about, how bad it is, and why it matters.

A code is a promise: its number never gets another meaning. The hundreds go by subject:

    LG00xx  reading files           LG01xx  what the Kubernetes API and its webhooks refuse
    LG1xxx  load balancer           LG2xxx  gateway            LG3xxx  certificates
    LG4xxx  names and DNS           LG5xxx  across systems     LG9xxx  this machine

Rooms define theirs beside the code that finds them; `codes()` lists all that are defined so far.
"""

from __future__ import annotations

from dataclasses import dataclass

from lockgate.resources.finding import Finding, Position, Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of fault. `title` names it in a list; `why` says what comes of it."""

    id: str
    severity: Severity
    title: str
    why: str

    def finding(
        self,
        message: str,
        position: Position | None = None,
        *,
        mend: str = "",
        subject: str = "",
        severity: Severity | None = None,
    ) -> Finding:
        return Finding(self.id, severity or self.severity, message, position, mend, subject)


_CODES: dict[str, Code] = {}


def define(id: str, severity: Severity, title: str, why: str) -> Code:
    if id in _CODES:
        raise ValueError(f"{id} is defined twice")
    code = _CODES[id] = Code(id, severity, title, why)
    return code


def codes() -> tuple[Code, ...]:
    return tuple(_CODES[id] for id in sorted(_CODES))


def table(prefix: str = "LG") -> str:
    """The codes that begin so, as a Markdown table: what the reference pages hold."""
    rows = [
        f"| `{code.id}` | {code.severity.value} | {code.title} | {code.why} |"
        for code in codes()
        if code.id.startswith(prefix)
    ]
    return "\n".join(["| code | severity | what | why it matters |", "| --- | --- | --- | --- |", *rows]) + "\n"


SYNTAX = define(
    "LG0001",
    Severity.ERROR,
    "Not YAML or JSON",
    "The document cannot be parsed. Others in the same file are still read.",
)
TEMPLATE = define(
    "LG0002",
    Severity.WARNING,
    "A template, not a manifest",
    "Helm's {{ … }} must be rendered first: no API server takes the text itself. Other files are served.",
)
ENCODING = define(
    "LG0003",
    Severity.ERROR,
    "Not text",
    "Manifests are UTF-8 without control characters.",
)
LIMIT = define(
    "LG0004",
    Severity.ERROR,
    "Beyond a limit",
    "Size, depth and alias expansion are bounded, so that a file can't take the machine's memory.",
)
DUPLICATE_KEY = define(
    "LG0005",
    Severity.WARNING,
    "A key twice in one map",
    "The last one counts and the first is lost without a word, as with kubectl.",
)
NOT_AN_OBJECT = define(
    "LG0006",
    Severity.WARNING,
    "Not a Kubernetes manifest",
    "A manifest is a map with apiVersion, kind and metadata. Other files are ignored, and the manifests are served.",
)
NO_KIND = define(
    "LG0007",
    Severity.ERROR,
    "apiVersion or kind missing",
    "Without both, nobody knows what the object is.",
)
NO_NAME = define(
    "LG0008",
    Severity.ERROR,
    "metadata.name missing",
    "The API server refuses an object without a name.",
)
OBJECT_WITHOUT_EFFECT = define(
    "LG0009",
    Severity.WARNING,
    "An object without effect here",
    "The API stores and lists it, as in a cluster, and nothing on this machine follows from it.",
)
VERSION = define(
    "LG0010",
    Severity.ERROR,
    "A version that is not served",
    "The kind exists, but not in this API version; a cluster answers `no matches for kind`.",
)
UNKNOWN_FIELD = define(
    "LG0011",
    Severity.WARNING,
    "An unknown field",
    "The API server drops it (or refuses the object, with strict validation): what it was to say is not done.",
)
WRONG_TYPE = define(
    "LG0012",
    Severity.ERROR,
    "A value of the wrong type",
    "The API server refuses the object.",
)
DUPLICATE_OBJECT = define(
    "LG0013",
    Severity.WARNING,
    "One object, defined twice",
    "Applied in order, the later definition replaces the earlier one.",
)
CLUSTER_SCOPED = define(
    "LG0014",
    Severity.INFO,
    "A namespace on a cluster-scoped object",
    "It has no effect: kubectl and the API server drop it.",
)
FIELD_WITHOUT_EFFECT = define(
    "LG0015",
    Severity.WARNING,
    "A field without effect here",
    "The API stores it, as in a cluster, and nothing on this machine follows from it.",
)
NOT_ENFORCED = define(
    "LG0016",
    Severity.WARNING,
    "A policy that is not enforced",
    "What it denies in a cluster is let through here.",
)
PLACEHOLDER = define(
    "LG0030",
    Severity.WARNING,
    "A placeholder, or a value of the wrong shape",
    "Production refuses it. Here a value of the right shape stands in for it, so that everything else is served.",
)
REQUIRED = define(
    "LG0101",
    Severity.ERROR,
    "A required field is missing",
    "The API server refuses the object.",
)
UNSUPPORTED = define(
    "LG0102",
    Severity.ERROR,
    "A value outside the allowed ones",
    "The API server refuses the object.",
)
INVALID = define(
    "LG0103",
    Severity.ERROR,
    "An invalid value",
    "The API server refuses the object.",
)
FORBIDDEN = define(
    "LG0104",
    Severity.ERROR,
    "A field that may not be set here",
    "The API server refuses the object.",
)
DUPLICATE_VALUE = define(
    "LG0105",
    Severity.ERROR,
    "A value that has to be unique",
    "The API server refuses the object.",
)
REFUSED_BY_WEBHOOK = define(
    "LG0110",
    Severity.ERROR,
    "Refused by an admission webhook",
    "In a cluster, the component's own validation (Istio's, cert-manager's, the load balancer controller's) denies it.",
)
WARNED_BY_WEBHOOK = define(
    "LG0111",
    Severity.WARNING,
    "Warned about by an admission webhook",
    "In a cluster, kubectl prints the warning and the object is stored.",
)
