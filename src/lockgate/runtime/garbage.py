"""Controls Python's garbage collection, which looks for unreferenced cycles of objects, and returns freed memory.

A collection blocks everything else. Scanning ten thousand objects of a team takes half a second and finds nothing,
because they are permanent. So the objects of a start or a large load are excluded from later collections, which stay
fast.
"""

from __future__ import annotations

import gc

MANY = 500  # objects of a team that are worth excluding
_THRESHOLDS = (10_000, 10, 50)  # new objects to a first collection, of those to a second, and of those to a whole one


def leave_out_what_is() -> None:
    """Enables garbage collection, excluding all existing objects."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()


def leave_out_more() -> None:
    """The same, unless garbage collection is still disabled."""
    if gc.isenabled():
        leave_out_what_is()


def give_back() -> None:
    """Returns memory that is free to the system. glibc keeps it for later, in a heap for each thread: 19 MiB after the
    start of the example. This takes 6 ms, and the interpreter is not blocked."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have no such function
    if trim is not None:
        trim(0)
