"""`apply --write`: the certificates' ARNs in the user's files, and not one character besides."""

from __future__ import annotations

from collections.abc import Mapping

from lockgate.check.fixing import edited, spliced
from lockgate.deploy.planning.intent import CERTIFICATES, labelled
from lockgate.deploy.planning.plan import Plan
from lockgate.resources.faults import Origin, Set
from lockgate.resources.reader import Document


def written(plan: Plan, texts: Mapping[str, str]) -> dict[str, str]:
    """The changed files of `texts`, each with its new text."""
    arns = {each.reference: each.arn for each in plan.choices if each.arn and each.arn != each.reference}
    changes: dict[str, list[tuple[Document, str]]] = {}
    for document in plan.intent.documents:
        if (path := CERTIFICATES.get(document.key.kind)) is None:
            continue
        annotations = document.manifest["metadata"].get("annotations") or {}
        named = [each.strip() for each in str(annotations.get(path[2], "")).split(",")]
        if document.chunk.file not in texts or not any(each in arns for each in named):
            continue
        value = labelled(document.manifest, plan.intent.name, arns)["metadata"]["annotations"][path[2]]
        text = edited(document, [Set(Origin(document.key, path), value)])
        if text is not None:
            changes.setdefault(document.chunk.file, []).append((document, text))
    return {file: spliced(texts[file], found) for file, found in changes.items()}
