"""What reaches a terminal: no control character of a manifest, a client or an upstream."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lockgate.cli import terminal
from lockgate.cli.main import lockgate
from lockgate.resources.text import escaped

HOSTILE = "a\x1b]0;owned\x07\x1b[31mred\r\n\x9b2J\u202egnp.exe\u2066"
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@given(st.text())
def test_what_is_printable_has_no_control_characters_left(text: str) -> None:
    shown = escaped(text)
    assert not _CONTROL.search(shown)
    shown.encode()  # halves of surrogate pairs cannot be written
    assert escaped(shown) == shown


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("k8s-shop-web · 1/1 healthy", "é 日本語 ✓ done", r"\x1b written out"):
        assert escaped(text) == text


def test_colours_are_ours_and_those_of_the_text_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, where click leaves escape sequences in."""
    written = io.StringIO()
    monkeypatch.setattr(terminal, "_colour", lambda _err=False: True)
    monkeypatch.setattr(click, "echo", lambda text, **_options: written.write(f"{text}\n"))
    terminal.say(terminal.paint("✗", "red") + " \x1b[31mred")
    assert written.getvalue() == "\x1b[31m✗\x1b[0m \\x1b[31mred\n"


def test_every_command_prints_through_the_terminal() -> None:
    """Whatever prints by itself would print what manifests hold."""
    folder = Path(terminal.__file__).parent
    printing = re.compile(r"click\.(echo|secho|style)\(|\bprint\(|sys\.stdout\.write")
    others = [file for file in folder.glob("*.py") if file.name != "terminal.py"]
    assert others
    assert not [file.name for file in others if printing.search(file.read_text())]


MANIFESTS = [
    {"apiVersion": "hostile.example/v1", "kind": HOSTILE, "metadata": {"name": HOSTILE, "namespace": HOSTILE}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": HOSTILE}, "spec": {HOSTILE: 1, "type": HOSTILE}},
    {"apiVersion": "hostile.example/v1", "kind": HOSTILE, "metadata": {"name": "a", HOSTILE: [HOSTILE]}},
    {"apiVersion": HOSTILE, "kind": "Ingress", "metadata": {"name": "a"}},
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "web",
            "annotations": {
                "kubernetes.io/ingress.class": "alb",
                "alb.ingress.kubernetes.io/load-balancer-name": HOSTILE,
                f"alb.ingress.kubernetes.io/{HOSTILE}": HOSTILE,
                "alb.ingress.kubernetes.io/target-type": "ip",
            },
        },
        "spec": {
            "rules": [
                {"host": HOSTILE, "http": {"paths": [
                    {"path": f"/{HOSTILE}", "pathType": "Prefix",
                     "backend": {"service": {"name": HOSTILE, "port": {"number": 80}}}}]}}
            ]
        },
    },
]  # fmt: skip


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_show_escapes_what_manifests_hold(tmp_path: Path, manifest: dict[str, object]) -> None:
    (tmp_path / "hostile.json").write_text(json.dumps(manifest))
    (tmp_path / "also\x1b[31m\n.yaml").write_text("kind: [")
    done = CliRunner().invoke(lockgate, ["show", "load-balancer", str(tmp_path)], standalone_mode=False)
    assert done.exception is None
    for line in (done.stdout + done.stderr).split("\n"):
        assert not _CONTROL.search(line)
    assert "\\x1b" in done.stderr
