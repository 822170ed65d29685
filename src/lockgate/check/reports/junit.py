"""Findings as JUnit XML, as CI systems read it: one test for each file, which fails if it has findings that count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from lockgate.check.findings import Finding


def junit(findings: Sequence[Finding], files: Iterable[str], failing: Sequence[Finding]) -> str:
    """`failing` are the findings that make the run fail; the others are in the output of their test."""
    by_file: dict[str, list[Finding]] = {file: [] for file in files}
    for each in findings:
        by_file.setdefault(each.position.file if each.position else "(no file)", []).append(each)
    fails = {each.fingerprint for each in failing}
    bad = sum(any(each.fingerprint in fails for each in found) for found in by_file.values())
    root = Element("testsuites", name="lockgate check", tests=str(len(by_file)), failures=str(bad))
    suite = SubElement(root, "testsuite", name="lockgate check", tests=str(len(by_file)), failures=str(bad))
    for file, found in by_file.items():
        case = SubElement(suite, "testcase", classname="lockgate check", name=_xml(file), file=_xml(file))
        failed = [each for each in found if each.fingerprint in fails]
        if failed:
            failure = SubElement(case, "failure", type=failed[0].code, message=_xml(failed[0].diagnostic.message))
            failure.text = _lines(failed)
        if passed := [each for each in found if each.fingerprint not in fails]:
            SubElement(case, "system-out").text = _lines(passed)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _lines(findings: Iterable[Finding]) -> str:
    return _xml("\n".join(each.diagnostic.line() for each in findings))


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(each if _allowed(each) else "\ufffd" for each in text)


def _allowed(character: str) -> bool:
    return (
        character in "\t\n" or " " <= character <= "\ud7ff" or "\ue000" <= character <= "\ufffd" or character > "\uffff"
    )
