"""Whatever is in the manifests, `check` answers, and a fix is safe: examples of codes, put together and damaged."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import hypothesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.check.fixing import fix
from lockgate.check.outcome import Outcome, as_json, outcome
from lockgate.check.reports.github import commands
from lockgate.check.reports.junit import junit
from lockgate.check.reports.sarif import sarif
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.codes import codes
from lockgate.resources.codes.document import example
from lockgate.resources.faults import Severity
from lockgate.resources.reader import read
from tests.edge.test_any_manifests import TEXTS

EXAMPLES = [example(each.example) for each in codes() if each.example and not each.example.startswith("$")]
DOCUMENTS = [document.manifest for text in EXAMPLES for document in read(text, "a.yaml").documents]
FILE = "all.yaml"
_VALUES = st.sampled_from([*TEXTS, "", 0, -1, 80, 443, 8443, 15021, True, None, [], {}, ["*"], {"a": "b"}])


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """An object of an example in which a few fields have other values, or are missing."""
    manifest = json.loads(json.dumps(draw(st.sampled_from(DOCUMENTS))))
    for _ in range(draw(st.integers(0, 3))):
        inner: Any = manifest
        while True:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(inner[key], dict | list) and inner[key] and draw(st.integers(0, 4)):
                inner = inner[key]
                continue
            if draw(st.booleans()):
                inner[key] = deepcopy(draw(_VALUES))
            else:
                del inner[key]
            break
    return manifest


def manifests(text: str) -> Manifests:
    reading = read(text, FILE)
    return Manifests(reading.documents, reading.faults, (FILE,), frozenset(), {FILE: (b"", reading)})


def check(given_: Manifests) -> Outcome:
    return outcome(from_manifests(given_, Options(())), given_)


_DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
_INGRESS = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(damaged(), min_size=1, max_size=7))
@hypothesis.example([_DEPLOYMENT | {"spec": {"template": {"spec": {"containers": "a"}}}}])
@hypothesis.example([_DEPLOYMENT | {"spec": {"template": {"spec": {"containers": [1, {"image": [], "args": 1}]}}}}])
@hypothesis.example([_INGRESS | {"metadata": {"name": "web", "annotations": "${X}"}}])
def test_any_manifests_are_checked_and_fixed_once(objects: list[Any]) -> None:
    text = "\n---\n".join(json.dumps(each) for each in objects)
    before = manifests(text)
    result = check(before)
    assert len({each.fingerprint for each in result.findings}) == len(result.findings)
    for shown in (as_json(result), sarif(result, (FILE,), "1"), list(commands(result.findings))):
        json.dumps(shown)
    junit(result.findings, (FILE,), result.failing(Severity.WARNING))
    made = fix(before, {FILE: text}, check)
    after = made.texts.get(FILE, text)
    again = fix(manifests(after), {FILE: after}, check)
    assert not again.texts
    assert len(read(after, FILE).documents) == len(before.documents)
    left = {each.fingerprint for each in made.outcome.findings}
    assert not left & {each.fingerprint for each in made.fixed}
