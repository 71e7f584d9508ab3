"""Tickets: places in the order of arrival, which a priority moves ahead by a bounded stretch.

Tickets are drawn from one counter, when a request is ready, and admission lets requests in by
their tickets. One with a higher priority gets a ticket as if it had been drawn
:data:`STRETCH` numbers earlier for each level. So it goes ahead of all that waits, and yet nobody
starves: a request can be overtaken only by those with a higher priority that come within the next
``STRETCH`` numbers for each level between the two, and never by one of its own level.
"""

from __future__ import annotations

from deployengine.persistence import Transaction
from deployengine.persistence.counters import TICKET

LOWEST, HIGHEST = -5, 5
#: Numbers that one level of priority is worth: more than ever wait at once.
STRETCH = 1_000_000
#: Tickets of different levels never meet: the rest of a ticket tells its level.
_STEP = HIGHEST - LOWEST + 1


def draw(tx: Transaction, priority: int, many: int = 1) -> range:
    """So many tickets, in order."""
    level = min(max(priority, LOWEST), HIGHEST)
    first = tx.counters.draw(TICKET, many) + (HIGHEST - level) * STRETCH
    begin = first * _STEP + (HIGHEST - level)
    return range(begin, begin + many * _STEP, _STEP)
