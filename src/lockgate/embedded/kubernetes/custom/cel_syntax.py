"""Functions of Kubernetes that the CEL library cannot have under their names, written in another way.

The library's `indexOf` of strings allows no other for lists, and its functions cannot return an optional value. So
``list.indexOf(x)`` is read as ``list.k8sIndexOf(x)``, and ``format.validate(x)`` as ``format.k8sValidate(x)[?0]``,
whose function returns a list of at most one.
"""

from __future__ import annotations

import re
from typing import Final

_OTHER: Final = {
    "indexOf": "k8sIndexOf",
    "lastIndexOf": "k8sLastIndexOf",
    "validate": "k8sValidate",
    "named": "k8sNamed",
}
_OPTIONAL: Final = frozenset({"validate", "named"})
_TOKEN: Final = re.compile(
    r"""(?P<text>[bBrR]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))"""
    r"""|(?P<comment>//[^\n]*)|(?<=\.)(?P<name>indexOf|lastIndexOf|validate|named)(?=\s*\()|(?P<bracket>[()])""",
    re.DOTALL,
)


def rewritten(expression: str) -> str:
    """The expression as the library can compile it."""
    if not any(name in expression for name in _OTHER):
        return expression
    parts: list[str] = []
    at = 0
    optional = False  # whether the next bracket opens the arguments of a function that returns an optional value
    open_: list[bool] = []
    for found in _TOKEN.finditer(expression):
        parts.append(expression[at : found.start()])
        at = found.end()
        shown = found[0]
        if name := found["name"]:
            shown, optional = _OTHER[name], name in _OPTIONAL
        elif shown == "(":
            open_.append(optional)
            optional = False
        elif shown == ")" and open_ and open_.pop():
            shown = ")[?0]"
        parts.append(shown)
    return "".join((*parts, expression[at:]))


def as_written(message: str) -> str:
    """An error in the words of the expression."""
    for name, other in _OTHER.items():
        message = message.replace(f"{other}(", f"{name}(").replace(f"'{other}'", f"'{name}'")
    return message
