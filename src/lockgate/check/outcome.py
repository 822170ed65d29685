"""The findings that count: after suppressions in the manifests, the selection of codes, and the baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lockgate.check.findings import Finding, check, findings
from lockgate.check.selection import EVERYTHING, Selection
from lockgate.check.suppressions import Suppression, suppressions, unused, without_reason
from lockgate.edge.edge import Edge
from lockgate.edge.manifests import Manifests
from lockgate.resources.faults import Severity

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that a comment suppresses."""

    finding: Finding
    by: Suppression


@dataclass(frozen=True, slots=True)
class Outcome:
    """`findings` count. `known` are in the baseline; `gone` are fingerprints of the baseline that are not found."""

    findings: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...] = ()
    known: tuple[Finding, ...] = ()
    gone: tuple[str, ...] = ()
    files: int = 0
    objects: int = 0

    def failing(self, least: Severity) -> tuple[Finding, ...]:
        """The findings of this severity or a worse one."""
        failing = _WORST_FIRST[: _WORST_FIRST.index(least) + 1]
        return tuple(each for each in self.findings if each.severity in failing)


_WORST_FIRST = list(Severity)


def outcome(
    edge: Edge,
    manifests: Manifests,
    *,
    selection: Selection = EVERYTHING,
    baseline: Collection[str] = (),
    strict: bool = False,
) -> Outcome:
    """`edge` is built from `manifests`. With `strict`, a suppression without a reason suppresses nothing."""
    locate = manifests.positions()
    comments = suppressions(manifests.documents)
    usable = tuple(each for each in comments.every if each.reason or not strict)
    kept, suppressed = _apart(check(edge, locate), usable)
    effective = {each.by for each in suppressed}
    about = (
        *comments.faults,
        *(without_reason(each) for each in comments.every if not each.reason),
        *(unused(each) for each in usable if each not in effective),
    )
    every = tuple(each for each in (*kept, *findings(about, locate)) if selection.has(each.fault.code))
    found = {each.fingerprint for each in every}
    return Outcome(
        tuple(sorted((each for each in every if each.fingerprint not in baseline), key=lambda each: each.order)),
        tuple(each for each in suppressed if selection.has(each.finding.fault.code)),
        tuple(each for each in every if each.fingerprint in baseline),
        tuple(sorted(each for each in baseline if each not in found)),
        len(manifests.files),
        len(manifests.documents),
    )


def _apart(
    every: Sequence[Finding], comments: Sequence[Suppression]
) -> tuple[tuple[Finding, ...], tuple[Suppressed, ...]]:
    """The findings that no comment covers, and the others with their comment."""
    by_file: dict[str, list[Suppression]] = {}
    for comment in comments:
        by_file.setdefault(comment.position.file, []).append(comment)
    kept: list[Finding] = []
    suppressed: list[Suppressed] = []
    for finding in every:
        by = next(_covering(finding, by_file), None)
        if by is None:
            kept.append(finding)
        else:
            suppressed.append(Suppressed(finding, by))
    return tuple(kept), tuple(suppressed)


def _covering(finding: Finding, by_file: dict[str, list[Suppression]]) -> Iterator[Suppression]:
    if (position := finding.position) is not None:
        for comment in by_file.get(position.file, ()):
            if comment.covers(finding.fault.code, position):
                yield comment


def finding_json(finding: Finding) -> Json:
    """A finding for programs: the diagnostic, with what identifies it."""
    return {
        **finding.diagnostic.as_json(),
        "aliases": list(finding.aliases),
        "fingerprint": finding.fingerprint,
        "fixable": finding.fixable,
    }


def as_json(result: Outcome) -> Json:
    counts = {severity.value: 0 for severity in Severity}
    for each in result.findings:
        counts[each.severity.value] += 1
    return {
        "findings": [finding_json(each) for each in result.findings],
        "suppressed": [
            {**finding_json(each.finding), "reason": each.by.reason, "comment": str(each.by.position)}
            for each in result.suppressed
        ],
        "summary": {
            **counts,
            "suppressed": len(result.suppressed),
            "baseline": len(result.known),
            "gone": len(result.gone),
            "fixable": sum(each.fixable for each in result.findings),
            "files": result.files,
            "objects": result.objects,
        },
    }
