"""Sets of texts as automata: what an exact value, a prefix, a glob or an RE2 expression matches.

Theory of operation. A condition on a text (a path, a header's value) is a regular language. `syntax` reads RE2's
syntax, `automaton` turns an expression into a nondeterministic program and simulates it one character at a time, as
RE2 itself does, and keeps the states that it has seen. `classes` runs several automata side by side, breadth first,
over all texts: two texts for which all automata agree are in one class, and each class gets its shortest text. So "is
there a request that this route matches and that one does not" is answered by looking at the classes, and every answer
has an example.

    >>> api, cart = prefix("/api"), matching("/(api|cart)/[0-9]+")
    >>> [(each.members, each.texts[0]) for each in classes([api, cart])]
    [(frozenset(), ''), (frozenset({0}), '/api'), (frozenset({0, 1}), '/api/0'), (frozenset({1}), '/cart/0')]

The characters are those of Latin-1, because Envoy compares bytes.
"""

from lockgate.resources.languages.automaton import (
    Automaton,
    TooLarge,
    containing,
    exact,
    glob,
    matching,
    prefix,
    suffix,
)
from lockgate.resources.languages.classes import TextClass, classes, is_within
from lockgate.resources.languages.syntax import PRINTABLE, Unsupported

__all__ = [
    "PRINTABLE",
    "Automaton",
    "TextClass",
    "TooLarge",
    "Unsupported",
    "classes",
    "containing",
    "exact",
    "glob",
    "is_within",
    "matching",
    "prefix",
    "suffix",
]
