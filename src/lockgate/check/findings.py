"""Runs every analyzer, and makes findings of the faults: placed, sorted, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from lockgate.check.analyzers import ANALYZERS
from lockgate.edge.edge import Edge
from lockgate.resources.codes import gateway, load_balancer, objects, reading
from lockgate.resources.diagnostics import Diagnostic, diagnose
from lockgate.resources.faults import Fault, Locate, Origin, Position, Severity
from lockgate.resources.recognition import NO_HEADER


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault with its place. `position` is None for an object that is in no file.

    `fingerprint` identifies the finding in later runs: it stays the same when lines move, and when the object moves to
    another file.
    """

    fault: Fault
    diagnostic: Diagnostic
    fingerprint: str

    @property
    def code(self) -> str:
        return self.fault.code.id

    @property
    def aliases(self) -> tuple[str, ...]:
        """The numbers of other tools for the same fault, such as IST0101 or KIA0201."""
        return self.fault.code.aliases

    @property
    def severity(self) -> Severity:
        return self.diagnostic.severity

    @property
    def position(self) -> Position | None:
        return self.diagnostic.position

    @property
    def fixable(self) -> bool:
        """Whether there are edits that fix it."""
        return bool(self.fault.edits)

    @property
    def order(self) -> tuple[object, ...]:
        """By file and line; without a line comes last."""
        return _order(self.diagnostic)


def check(edge: Edge, locate: Locate) -> tuple[Finding, ...]:
    """All findings of an edge, by file and line; those without a line come last."""
    return findings(_faults(edge), locate)


def findings(faults: Iterable[Fault], locate: Locate) -> tuple[Finding, ...]:
    placed = [(fault, _diagnosed(fault, locate)) for fault in dict.fromkeys(faults)]
    placed.sort(key=lambda each: _order(each[1]))
    return tuple(_findings(placed))


def _faults(edge: Edge) -> Iterator[Fault]:
    """The user can change nothing about an object that is supplied, so those have no findings."""
    yield from (fault for fault in edge.faults if fault.code.id not in _CHOICES)
    for analyzer in ANALYZERS:
        for fault in analyzer.analyze(edge):
            if not (isinstance(fault.origin, Origin) and fault.origin.key in edge.supplied):
                yield fault


def _diagnosed(fault: Fault, locate: Locate) -> Diagnostic:
    """What this machine does not do is good to know when the manifests run here, and not wrong in a cluster."""
    diagnostic = diagnose(fault, locate)
    return replace(diagnostic, severity=Severity.INFO) if _is_harmless(fault) else diagnostic


def _is_harmless(fault: Fault) -> bool:
    """A file of another tool is no manifest, and nobody wants it to be one."""
    if fault.code.id == reading.NOT_A_MANIFEST.id:
        return dict(fault.values).get("found") != NO_HEADER.name  # many such files are reported as one
    return fault.code.id in _HERE


_HERE = frozenset(
    {
        objects.OBJECT_WITHOUT_EFFECT.id,
        objects.FIELD_WITHOUT_EFFECT.id,
        objects.UNKNOWN_KIND.id,
        objects.NOT_ENFORCED.id,
        gateway.NO_SELECTED_WORKLOAD.id,
    }
)
_CHOICES = frozenset({load_balancer.NODE_PORTS_OPEN.id})  # what AWS or a cluster chooses is not wrong

_SEVERITIES = list(Severity)


def _order(diagnostic: Diagnostic) -> tuple[object, ...]:
    at = diagnostic.position
    place = (at.file, at.line, at.column) if at else ("", 0, 0)
    return (at is None, *place, _SEVERITIES.index(diagnostic.severity), diagnostic.code, diagnostic.message)


def _findings(placed: Iterable[tuple[Fault, Diagnostic]]) -> Iterator[Finding]:
    """Faults that differ only in the file, or in the index of a list, are distinguished by their order."""
    seen: Counter[str] = Counter()
    shown: set[tuple[object, ...]] = set()
    for fault, diagnostic in placed:
        if (same := (diagnostic.code, diagnostic.position, diagnostic.subject, diagnostic.message)) in shown:
            continue
        shown.add(same)
        identity = _identity(fault)
        yield Finding(fault, diagnostic, _digest(identity, seen[identity]))
        seen[identity] += 1


def _identity(fault: Fault) -> str:
    """What a fault is about, without lines: its code, object, path without indexes, and values."""
    match fault.origin:
        case Origin(key, path):
            fields = ".".join(part for part in path if isinstance(part, str))
            place = f"{key.group}/{key} {fields}"
        case Position(file):
            place = file
        case None:
            place = ""
    values = (f"{name}={value}" for name, value in fault.values)
    return "\n".join((fault.code.id, place, *values))


def _digest(identity: str, count: int) -> str:
    return sha256(f"{identity}\n{count}".encode()).hexdigest()[:16]
