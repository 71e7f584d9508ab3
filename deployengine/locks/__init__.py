"""Who may use which machine, decided in Redis: waiting costs nothing, granting is one call.

The rule
    A request (a step run, or a deployment) claims all it needs at once: machines, windows, tags,
    named resources, each exclusive or shared. It is granted as a whole, in strict ticket order.
    ``deployengine.domain.admission`` states the rule in Python, ``lua/admission.lua`` states it
    again for Redis, and ``tests/locks/test_against_specification.py`` drives both with the same
    arrivals and departures and compares holders, queues and grants after every step.

Nobody polls
    A waiter is a hash field and one member per claim in a sorted set. When something leaves, the
    same call that frees it grants who is next and returns them, to be published. Nothing has a
    TTL: a hold ends because somebody said so, never because a clock did.

Whom a departure can unblock
    Only holders and earlier tickets stand in the way, and a grant unblocks nobody (a holder is in
    the way of all whom it was in the way of as a waiter). So only departures matter:

    - an exclusive holder kept back the whole line, a cancelled exclusive waiter those behind it:
      the shared waiters from there up to the next exclusive one are looked at, and that one.
      If another exclusive holder or earlier waiter still keeps them back, nobody is looked at;
    - a shared holder or waiter kept back an exclusive one, if that is now first in line and nobody
      holds;
    - a shared holder took a place. Waiters that lack nothing else stand in ``full``, by limit and
      ticket; those whose limit was the count before the departure can go on. The others with a
      lower limit still find it reached, and those with a higher one had room before.

    Who is not reached by these has an obstacle that did not move. A waiter whose last other
    obstacle goes is looked at for that reason, and put into ``full`` if only a place is lacking;
    so ``full`` may hold too many (it is asked again before use) but never too few.

What it costs
    To look at a request takes O(claims · log n). A release looks at as many waiters as it grants,
    and a few more: it costs the same with ten and with ten thousand in line (a test counts).
    Shared waiters behind an exclusive one are looked at once for each exclusive one that leaves
    from before them.

Long wakes come in pieces
    A departure leaves marks in ``pending``: the ticket to look at next, and the line or full house
    to go on with. A call works off a bounded number of marks, always the smallest ticket first, so
    that the last free place of a machine goes to the earliest ticket whichever departure made room;
    then it says how many are left, and ``MachineLocks`` calls again. New arrivals are marked in
    the same way: they neither pass a wake that is under way nor lose it. If a process dies between
    two calls, the marks stay and the next operation of anybody works them off.
    Several ids released in one call leave in one instant, just as in the specification.

Unknown is not free
    Every operation carries the generation it expects, a number from the database. If Redis was
    lost, restarted or flushed, the key is gone, the script changes nothing, and ``LocksNotReady``
    asks for ``rebuild``: it empties everything, loads holders and waiters from the database under
    a token of its own, and sets the generation last. Of two rebuilders the newer one wins.
    Between reading the database and the begin of a rebuild no other process should be able to
    grant, so give a rebuild a new generation. ``maxmemory-policy`` must be ``noeviction``.
    The generation stands there together with the run id of the server that was loaded. A server
    that came back with an old snapshot, or a replica that was promoted without the last writes,
    has the generation and another run id: it is as unknown as an empty one.

Lost answers
    Everything is idempotent by request id, so any call may be repeated. If the answer to a release
    was lost, the grants in it are not told again: housekeeping publishes again what nobody claimed.
    A submit that comes after its own release counts as new; the claim in SQL refuses what it gets.
"""

from deployengine.locks.beats import Beats
from deployengine.locks.errors import (
    GenerationStale,
    LocksError,
    LocksNotReady,
    RebuildSuperseded,
)
from deployengine.locks.lock_views import Counts, HolderView, LockViews, ResourceView, WaiterView
from deployengine.locks.machine_locks import MachineLocks
from deployengine.locks.scripts import Grant

__all__ = [
    "Beats",
    "Counts",
    "GenerationStale",
    "Grant",
    "HolderView",
    "LockViews",
    "LocksError",
    "LocksNotReady",
    "MachineLocks",
    "RebuildSuperseded",
    "ResourceView",
    "WaiterView",
]
