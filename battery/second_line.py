"""Rounds without a first line of defence, in which the second must hold.

Some branches are guards behind guards: as long as the first works they are not reached. Here the
first is left out, by the engine's own test switches, and the judge must find nothing all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from battery.round import Plan
from battery.schedule import drawn


def plans(seed: str) -> Iterator[Plan]:
    """One round each."""
    lease = 1.0
    for number, mutations in enumerate(LEFT_OUT, 1):
        own = f"{seed}-second-{number}"
        yield Plan(
            own,
            drawn(own, 0, 1.0, lease),
            at_least=20.0,
            at_most=30.0,
            lease=lease,
            mutations=mutations,
            failpoints=True,
            only_stops=("sql.claim.after", "ticket.start.before"),
        )


#: What is left out, a round each.
LEFT_OUT: tuple[tuple[str, ...], ...] = (("revoked", "self-fence"),)
