"""Recognises placeholders: text that a team replaces before it applies a manifest, such as ``<region>``.

There are two kinds. A *token* is a placeholder in any identifier: no name, host, ID or number contains ``<…>``,
``${…}`` or ``REPLACE_ME``. A *mask* (``xxxx``, ``****``) may be part of a name, so it counts only in a value of a known
shape, such as an ARN.

    tokens("arn:aws:acm:<region>:${ACCOUNT}:certificate/***")  ->  <region>, ${ACCOUNT}
    masked("subnet-xxxxxxxx")                                  ->  True

Do not use it for free text (descriptions, response bodies, regular expressions, Envoy's ``%REQ(…)%``), only for
identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Token:
    """A placeholder in a text, from `start` to before `end`. `name` has its words; `default` is the value in
    ``${NAME:-default}``, or None."""

    start: int
    end: int
    name: str
    default: str | None = None


def tokens(text: str) -> tuple[Token, ...]:
    """The placeholders in an identifier, in order. Of overlapping forms only the outermost counts."""
    found: list[Token] = []
    if not _SIGNS.search(text):  # nearly every value ends here
        return ()
    for match in _TOKEN.finditer(text):
        body = next((group for group in match.groups() if group is not None), match[0])
        name, _, default = body.partition(":-") if ":-" in body else body.partition(":=")
        found.append(Token(match.start(), match.end(), name.strip(), default if name != body else None))
    return tuple(found)


def suspicious(text: str) -> bool:
    """Whether the text of a whole manifest may hold a token; quick, and sometimes wrong."""
    return _SUSPICIOUS.search(text) is not None


def masked(text: str) -> bool:
    """Whether a value of a known shape has a masked or blank part."""
    return _MASK.search(text) is not None


def substitute(text: str, value: Callable[[Token], str]) -> str:
    """The text with each token replaced by what `value` returns for it."""
    parts, end = [], 0
    for token in tokens(text):
        parts += [text[end : token.start], value(token)]
        end = token.end
    return "".join((*parts, text[end:]))


def slug(token: Token) -> str:
    """A DNS label made of a token's words: ``your-team`` for ``<Your Team>``, ``secret-name`` for ``$SECRET_NAME``."""
    words = re.sub(r"[^a-z0-9]+", "-", (token.default or token.name).lower()).strip("-")
    return words[:40].strip("-") or "placeholder"


# One form per line. The group matches the placeholder's words; without a group, the whole match does.
_FORMS: Final = (
    r"\$?\$?\{\{-?\s*([^{}]*?)\s*-?\}\}",  # {{ region }} of Jinja and Backstage, ${{ … }} of GitHub
    r"\$\{\s*([^{}]*?)\s*\}",  # ${REGION}, ${REGION:-eu-west-1} of envsubst and Flux, ${var.region} of Terraform
    r"\$\(\s*([A-Za-z_][\w.-]*)\s*\)",  # $(REGION) of kustomize and Kubernetes
    r"\$([A-Za-z_]\w*)",  # $REGION
    r"<+\s*([^<>]*?)\s*>+",  # <region>, <YOUR REGION>
    r"#\{\s*([^{}]*?)\s*\}#?",  # #{Region}# of Azure Pipelines and Octopus
    r"\(\(\s*([\w.-]+)\s*\)\)",  # ((region)) of Concourse
    r"\[\[?\s*([A-Za-z][\w -]*?)\s*\]?\]",  # [region], [[region]]
    r"\{([A-Za-z][\w .-]*)\}",  # {region}
    r"%([A-Z][A-Z0-9_]+)%",  # %REGION%
    r"@@?([A-Z][A-Z0-9_]+)@@?",  # @REGION@ of CMake and Maven
    r"__([A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*)__",  # __REGION__
    r"(?<![A-Za-z0-9])(?i:(?:replace|change|fill)[ _-]?me)(?![A-Za-z0-9])",  # REPLACE_ME, change-me
    r"(?<![A-Za-z0-9])(?:REPLACE|CHANGE|FILL|INSERT)[ _-](?:THIS|IN|HERE|WITH|BY)(?:[_-][A-Z0-9]+)*(?![A-Za-z0-9])",
    r"(?<![A-Za-z0-9])(?:YOUR|MY|INSERT|ENTER)[_-][A-Z0-9_-]*[A-Z0-9]",  # YOUR_REGION, MY-DOMAIN
    r"(?<![A-Za-z0-9])(?:TODO|FIXME|TBD|PLACEHOLDER|REDACTED|CHANGEIT)(?![A-Za-z0-9])",
)
_TOKEN: Final = re.compile("|".join(_FORMS))
_SIGNS: Final = re.compile(r"[<${#(\[%@]|__|[A-Z]{2}|(?i:(?:replace|change|fill)[ _-]?me)")
# Every manifest is searched, and nearly all in vain: so the first characters come first, and what follows each of them.
_STARTS: Final = (
    ("<", ""),
    ("$", r"[\w{(]"),
    ("{", r"\{"),
    ("#", r"\{"),
    ("(", r"\("),
    ("[", r"\["),
    ("[{", r"(?<=[\w.*/\-\"'][\[{])\w"),
    ("%", "[A-Z]"),
    ("@", "[@A-Z]"),
    ("_", "_"),
    ("rR", "(?i:eplace[ _-]?me)"),
    ("cC", "(?i:hange[ _-]?me)"),
    ("fF", "(?i:ill[ _-]?me)"),
    ("R", "EPLACE[ _-]|(?<=R)EDACTED"),
    ("C", "HANGE[ _-]|(?<=C)HANGEIT"),
    ("F", "ILL[ _-]|(?<=F)IXME"),
    ("I", "NSERT[ _-]"),
    ("Y", "OUR[ _-]"),
    ("M", "Y[ _-]"),
    ("E", "NTER[ _-]"),
    ("T", "ODO|(?<=T)BD"),
    ("P", "LACEHOLDER"),
)
_SUSPICIOUS: Final = re.compile(
    f"[{re.escape(''.join(first for first, _ in _STARTS))}]"
    f"(?:{'|'.join(f'(?<=[{re.escape(first)}]){rest}' for first, rest in _STARTS)})"
)
_MASK: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[xX]{2,}|[A-Z0-9]*[xX]{4,})(?![A-Za-z0-9])|\*{2,}|\.{3}|…|#{2,}|_{3,}|\?{2,}|(?<=:)\*(?=:)"
)
