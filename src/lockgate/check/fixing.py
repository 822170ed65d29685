"""Fixes what can be fixed in only one right way: the edits of the findings, made in the text of the files.

The fixed manifests are checked again, because a fix can lead to the next one, until there is nothing more to fix. So a
second run changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from lockgate.check.findings import Finding
from lockgate.check.outcome import Outcome
from lockgate.edge.manifests import Manifests
from lockgate.resources.editing import CannotEdit
from lockgate.resources.faults import Edit
from lockgate.resources.model import ObjectKey
from lockgate.resources.reader import Document, read

Check: TypeAlias = Callable[[Manifests], Outcome]
"""Checks manifests: builds their edge, and applies selection, suppressions and baseline."""

_MOST_PASSES = 100


@dataclass(frozen=True, slots=True)
class Fixed:
    """`texts` are the changed files' new texts; `outcome` is that of the fixed manifests."""

    fixed: tuple[Finding, ...]
    texts: Mapping[str, str]
    outcome: Outcome


def fix(manifests: Manifests, texts: Mapping[str, str], check: Check) -> Fixed:
    """`texts` are the files as they are on disk. Findings in others (rendered, or piped in) are not fixed."""
    changed: dict[str, str] = {}
    fixed: list[Finding] = []
    outcome = check(manifests)
    tried: set[str] = set()
    for _ in range(_MOST_PASSES):
        left = [each for each in outcome.findings if each.fingerprint not in tried]
        made, found = _pass(manifests, {**texts, **changed}, left)
        if not made:
            break
        fixed += found
        tried.update(each.fingerprint for each in found)
        changed |= made
        manifests = _reread(manifests, made)
        outcome = check(manifests)
    return Fixed(tuple(fixed), changed, outcome)


def _pass(
    manifests: Manifests, texts: Mapping[str, str], findings: Iterable[Finding]
) -> tuple[dict[str, str], list[Finding]]:
    """One change for each object: a second one is made in the next pass, in the text that the first one leaves."""
    # Of several definitions of an object, the last one that is not refused counts.
    documents: dict[ObjectKey, Document] = {}
    for each in manifests.documents:
        if each.accepted or each.key not in documents:
            documents[each.key] = each
    taken: set[tuple[str, int, int]] = set()
    made: dict[str, list[tuple[Document, str]]] = {}
    fixed: list[Finding] = []
    for finding in findings:
        edits = finding.fault.edits
        document = documents.get(edits[0].origin.key) if edits else None
        if (
            document is None
            or document.chunk.file not in texts
            or any(each.origin.key != document.key for each in edits)
        ):
            continue
        place = (document.chunk.file, document.chunk.line, document.chunk.column)
        if place in taken:
            continue
        text = edited(document, edits)
        if text is not None:
            taken.add(place)
            made.setdefault(document.chunk.file, []).append((document, text))
            fixed.append(finding)
    new = {file: spliced(texts[file], changes) for file, changes in made.items()}
    return {file: text for file, text in new.items() if text != texts[file]}, fixed


def edited(document: Document, edits: Iterable[Edit]) -> str | None:
    """The new text of the document's part of the file; None if it cannot be changed so."""
    before = document.chunk
    try:
        for edit in edits:
            document = document.edited(edit)
    except CannotEdit:
        return None
    return document.chunk.text if document.chunk != before else None


def spliced(text: str, changes: Iterable[tuple[Document, str]]) -> str:
    """The file with its changed documents, from the last to the first, so that the places of the others stay."""
    starts = [0, *(found.end() for found in _LINE_BREAK.finditer(text))]
    for document, new in sorted(changes, key=lambda each: (each[0].chunk.line, each[0].chunk.column), reverse=True):
        chunk = document.chunk
        at = starts[chunk.line] + chunk.column
        if text[at : at + len(chunk.text)] == chunk.text:
            text = text[:at] + new + text[at + len(chunk.text) :]
    return text


_LINE_BREAK = re.compile("\n")


def _reread(manifests: Manifests, texts: Mapping[str, str]) -> Manifests:
    """The manifests with new texts of some files."""
    readings = {file: read(text, file) for file, text in texts.items()}
    documents: dict[str, list[Document]] = {file: [] for file in manifests.files}
    for document in manifests.documents:
        documents.setdefault(document.chunk.file, []).append(document)
    documents |= {file: list(reading.documents) for file, reading in readings.items()}
    return replace(
        manifests,
        documents=tuple(each for found in documents.values() for each in found),
        faults=(
            *(fault for fault in manifests.faults if fault.file not in readings),
            *(fault for reading in readings.values() for fault in reading.faults),
        ),
        readings={**manifests.readings, **{file: (b"", reading) for file, reading in readings.items()}},
    )
