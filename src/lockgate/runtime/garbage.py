"""Controls Python's garbage collection, which looks for unreferenced cycles of objects.

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
