"""Pydantic without its plugins.

Pydantic looks for plugins among all installed packages when the first model is built: 18 ms, and 8 ms for the modules
that read packages' metadata. Plugins observe the models of an application; Lockgate needs none. Programs that `lockgate
exec` runs would inherit the environment variable that disables them. So the module that looks for them is replaced,
only in the process of the `lockgate` command.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

_MODULE = "pydantic.plugin._loader"


def install() -> None:
    module: Any = ModuleType(_MODULE)
    module.get_plugins = lambda: ()
    sys.modules.setdefault(_MODULE, module)
