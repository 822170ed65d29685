"""The console as one HTML file that opens anywhere: the page with its scripts, its styles and all messages inside."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from lockgate.console.messages import Message

PAGE = Path(__file__).parent / "page"
MODULES = ("format.js", "feed.js", "charts.js", "graph.js", "tables.js", "details.js", "main.js")
"""In the order of their imports. Their names are distinct, so that they can be one script."""

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_LINKS = re.compile(r"\s*<(?:link|script)\b[^>]*(?:></script>|>)")


def exported(messages: Iterable[Message]) -> str:
    library = _read("vendor/uPlot.iife.min.js")
    script = f"{library}\n{{\n{''.join(_without_modules(_read(name)) for name in MODULES)}}}\n"
    style = _read("vendor/uPlot.min.css") + _read("app.css")
    data = json.dumps([[each.name, each.data] for each in messages], separators=(",", ":")).replace("<", "\\u003c")
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'"
    head, body = _LINKS.sub("", _read("index.html")).split("</head>")
    return (
        f'{head}<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>\n</head>'
        + body.replace(
            "</body>",
            f'<script type="application/json" id="recording">{data}</script>\n<script>{script}</script>\n</body>',
        )
    )


def _read(name: str) -> str:
    return (PAGE / name).read_text()


def _without_modules(script: str) -> str:
    return re.sub(r"^export ", "", _IMPORT.sub("", script), flags=re.MULTILINE)


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
