"""The limit of open files for the supervisor and its Envoys."""

from __future__ import annotations

import resource
from contextlib import suppress

_WANTED = 65_536


def allow_many_open_files() -> None:
    """Raises the soft limit as far as allowed. Many systems set 1,024 files for old programs that call select(), and a
    few hundred idle clients would stop the edge."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    desired = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if desired > soft:
        with suppress(OSError, ValueError):  # macOS has another limit below the hard one
            resource.setrlimit(resource.RLIMIT_NOFILE, (desired, hard))
