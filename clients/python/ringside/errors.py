# SPDX-License-Identifier: Apache-2.0
"""What can go wrong. The text names the thing, the cause and the remedy."""

from __future__ import annotations

import errno


class Error(OSError):
    """Any failure of this package that has an errno."""


class NoSidecar(Error, ConnectionError):
    """Nobody listens, or who did has hung up."""


class Denied(Error, PermissionError):
    """This user may not connect, or not attach."""


class NotFound(Error, FileNotFoundError):
    """No such ring, source or file."""


class Barred(Error):
    """This user was evicted from a lossless ring, and is barred for a while."""


class Timeout(Error, TimeoutError):
    """The sidecar accepts connections and says nothing."""


class Incompatible(Error):
    """Not a ring, not a sealed one, or of another version."""


class Corrupt(Error):
    """The ring contradicts itself; nothing more can be read from it."""


class Lapped(Error):
    """A file that was recorded in mid-lap: no frame of it can be reached."""


class Overwritten(Error):
    """The sidecar has overwritten what a lease showed: throw away what was
    computed from it. The next batch tells what was lost."""


_classes = {
    errno.ECONNREFUSED: NoSidecar,
    errno.ECONNRESET: NoSidecar,
    errno.ENOTCONN: NoSidecar,
    errno.EACCES: Denied,
    errno.EPERM: Denied,
    errno.ENOENT: NotFound,
    errno.EBUSY: Barred,
    errno.ETIMEDOUT: Timeout,
    errno.EPROTO: Incompatible,
    errno.EPROTONOSUPPORT: Incompatible,
    errno.EBADFD: Incompatible,
    errno.EMEDIUMTYPE: Incompatible,
    errno.EBADMSG: Corrupt,
    errno.ELOOP: Lapped,
    errno.ESTALE: Overwritten,
}


def make(number: int, text: str) -> Exception:
    """The exception for an errno of the C client."""
    if number == errno.EINVAL:
        return ValueError(text)
    return _classes.get(number, Error)(number, text)
