# SPDX-License-Identifier: Apache-2.0
"""Reads BPF maps without any privilege.

A sidecar that may read the maps publishes their rows in shared memory; this
package attaches to that memory and hands the rows out::

    import ringside

    for batch in ringside.attach(source="flows"):
        if batch.kind == "rows":
            print(batch.values["bytes"].sum())

``batch.keys`` and ``batch.values`` are numpy structured arrays, laid out as the
map's type information says. They are views of the batch's own memory, which
stays as it is and lives as long as any of them does. Without numpy they are
sequences of memoryviews, and ``batch.rows()`` gives plain Python objects.

**Loss and restarts** are batches of their own kinds, in their place in the
stream: see :class:`Batch`.

**In place.** ``with sub.lease() as batch:`` gives views of the ring itself. At
the end of the block they are released, and :class:`Overwritten` is raised if the
sidecar has overwritten what was looked at: what was computed is worthless then.

**Threads.** A subscription and its tables belong to one thread at a time; who
uses one while another thread waits with it gets a RuntimeError. From any thread:
``stats()``, and ``close()``, which ends another thread's loop within half a
second. Batches and what is made of them may go to any thread. Waiting releases
the interpreter's lock. A subscription does not survive ``fork``.

**Errors** are subclasses of :class:`Error`, an OSError with its errno.
"""

from ._ringside import VERSION as __version__
from .aio import AsyncSubscription, attach_async
from .batch import Batch, LeasedBatch, Loss
from .errors import (
    Barred,
    Corrupt,
    Denied,
    Error,
    Incompatible,
    Lapped,
    NoSidecar,
    NotFound,
    Overwritten,
    Timeout,
)
from .source import Source
from .subscription import Stats, Subscription, attach, open_file
from .table import Table
from .types import Constant, Field, Type

__all__ = [
    "AsyncSubscription",
    "Barred",
    "Batch",
    "Constant",
    "Corrupt",
    "Denied",
    "Error",
    "Field",
    "Incompatible",
    "Lapped",
    "LeasedBatch",
    "Loss",
    "NoSidecar",
    "NotFound",
    "Overwritten",
    "Source",
    "Stats",
    "Subscription",
    "Table",
    "Timeout",
    "Type",
    "__version__",
    "attach",
    "attach_async",
    "open_file",
]
