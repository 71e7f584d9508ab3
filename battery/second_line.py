"""Rounds without a first line of defence, in which the second must hold.

Some branches are guards behind guards: as long as the first works they are not reached. Here the
first is left out, by the engine's own test switches, and the judge must find nothing all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from battery.round import Plan

#: What is left out, the projects that are released, and where workers are stopped: a round each.
#:
#: - A worker that was stopped after its claim wakes when its run has ended elsewhere. It knows
#:   nothing of that, the machine has forgotten that its fence was revoked: the newer fence tells.
ROUNDS: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("revoked", "self-fence"),
        ("app-1", "app-2", "app-3", "app-4", "secret", "again"),
        ("sql.claim.after=stop@1", "sql.claim.after=stop@2", "ticket.start.before=stop@2"),
    ),
)


def plans(seed: str) -> Iterator[Plan]:
    """One round each."""
    for number, (mutations, projects, stops) in enumerate(ROUNDS, 1):
        yield Plan(
            f"{seed}-second-{number}",
            at_least=25.0,
            at_most=30.0,
            lease=1.0,
            mutations=mutations,
            arms={"worker": stops},
            projects=projects,
        )
