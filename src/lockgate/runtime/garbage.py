"""When Python looks for garbage: cycles of objects that nothing refers to any more.

Nothing else runs meanwhile. Looking through ten thousand objects of a team takes half a second, and finds nothing: they
stay. So what a start or a large load has made is left out of all collections, and those of the rest are small.
"""

from __future__ import annotations

import gc

MANY = 500  # objects of a team, whose values are worth leaving out
_THRESHOLDS = (10_000, 10, 50)  # new objects to a first collection, of those to a second, and of those to a whole one


def leave_out_what_is() -> None:
    """Collect garbage from now on, and never among the objects that there are now."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()


def leave_out_more() -> None:
    """The same, unless garbage is not collected yet at all."""
    if gc.isenabled():
        leave_out_what_is()
