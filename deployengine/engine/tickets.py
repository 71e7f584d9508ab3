"""Tickets: places in the order of arrival, which a priority moves ahead by a bounded stretch.

Tickets are drawn from one counter, when a request is ready, and admission lets requests in by
their tickets. One with a higher priority gets a ticket as if it had been drawn
:data:`STRETCH` numbers earlier for each level. So it goes ahead of all that waits, and yet nobody
starves: a request can be overtaken only by those with a higher priority that come within the next
``STRETCH`` numbers for each level between the two, and never by one of its own level. Where runs
that were let in wait for a slot, those with a priority above 0 go before all others under the same
bound; apart from that the first to be let in is the first to be run.
"""

from __future__ import annotations

from deployengine.domain.admission import LAST_TICKET
from deployengine.persistence import Transaction
from deployengine.persistence.counters import TICKET

LOWEST, HIGHEST = -5, 5
#: Numbers that one level of priority is worth: more than ever wait at once.
STRETCH = 1_000_000
#: Room before the first ticket, for what is moved to the top.
_ROOM = 1_000_000_000
#: Tickets of different levels never meet: the rest of a ticket tells its level.
_STEP = HIGHEST - LOWEST + 1


def level(ticket: int) -> int:
    """The priority that a ticket was drawn with."""
    return HIGHEST - ticket % _STEP


def first_ordinary(tx: Transaction) -> int:
    """The lowest ticket of all runs that wait and are not urgent."""
    found = tx.views.first_waiting(_STEP, HIGHEST)
    return LAST_TICKET if found is None else found


def before(ticket: int, many: int) -> range:
    """So many tickets at the top: of the highest priority, before this one and all ever drawn."""
    end = min(ticket // _STEP, _ROOM) * _STEP
    return range(end - many * _STEP, end, _STEP)


def at_top(ticket: int) -> bool:
    """Whether somebody has put this place at the top."""
    return ticket < _ROOM * _STEP


def moved(ticket: int, priority: int) -> int:
    """The same place in the order, at another priority."""
    return ticket + (level(ticket) - min(max(priority, LOWEST), HIGHEST)) * (STRETCH * _STEP + 1)


def draw(tx: Transaction, priority: int, many: int = 1) -> range:
    """So many tickets, in order."""
    below = HIGHEST - min(max(priority, LOWEST), HIGHEST)
    begin = (tx.counters.draw(TICKET, many) + _ROOM + below * STRETCH) * _STEP + below
    return range(begin, begin + many * _STEP, _STEP)
