"""Whether a program has a file open for writing.

A shell opens and truncates `file` at the start of `helm template > file`, seconds before the first byte. Linux counts
the writers of a file, and refuses a read lease while there is one (fcntl(2), "Leases"). A lease that is granted is
released at once, so that nobody waits for it.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from functools import lru_cache
from pathlib import Path

_F_SETSIG = 10
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3"})  # they refuse leases for other reasons


def is_open_for_writing(path: str) -> bool:
    """False if the system does not say: on other systems, for files of other users, and for remote files."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode) or _file_system(found.st_dev) in _REMOTE:
            return False
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return False
    try:
        # A program that opens the file at this moment breaks the lease, which sends this process a signal: SIGIO would
        # end it, SIGURG is ignored by default.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False


@lru_cache(maxsize=64)
def _file_system(device: int) -> str:
    """The type of a device's file system; "" if it is not a mount, such as a subvolume."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    for mount in mounts:  # proc(5): … major:minor … - type source options
        before, _, after = mount.partition(" - ")
        if before.split()[2] == number:
            return after.split()[0]
    return ""
