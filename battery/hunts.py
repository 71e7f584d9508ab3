"""Hunts: rounds for the branches that chance alone does not reach, with a catch in each.

Most have everything in place. Some branches are guards behind guards and are not reached while the
first one works; there the first is left out, by the engine's own test switches. The judge must find
nothing in either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from battery.round import Plan
from battery.trial import ALONE, LONG


@dataclass(frozen=True, slots=True)
class Hunt:
    """What is hunted, and how."""

    branches: frozenset[str]
    projects: tuple[str, ...]
    arms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sleep: float = 3.0
    mutations: tuple[str, ...] = ()


#: Nobody remembers on the machine that the sleeper's fence was revoked: the newer fence tells.
#: Two sleeps are far apart: of two sleepers over one run the second would need the guard that is
#: out. A short sleep ends while the script runs elsewhere, a long one when others came after it.
_FORGETFUL = Hunt(
    frozenset({"branch.stale-fence", "branch.not-first"}),
    ALONE,
    {"worker-1": ["sql.claim.after=stop@1", "sql.claim.after=stop@6"]},
    mutations=("revoked", "self-fence"),
)

HUNTS: tuple[Hunt, ...] = (
    # Workers sleep between the claim and the script, and wake when others have their runs.
    Hunt(
        frozenset({"branch.revoked", "branch.put-back", "branch.machine-held"}),
        LONG,
        {"worker-1": ["ticket.start.before=stop@1", "ticket.start.before=stop@3"]},
    ),
    Hunt(
        frozenset({"branch.taken-over", "branch.self-fenced"}),
        LONG,
        {"worker-1": ["sql.output.before=stop@4", "sql.claim.before=stop@3"]},
    ),
    # One opens a step and sleeps before Redis hears of it; who comes later is let in first.
    Hunt(
        frozenset({"branch.claim-conflict"}),
        ALONE,
        {"housekeeping": ["sql.open.after=stop@1", "sql.open.after=stop@2"]},
        sleep=1.2,
    ),
    _FORGETFUL,
    replace(_FORGETFUL, sleep=6.0),
)


def plans(seed: str, missing: Callable[[], Sequence[str]]) -> Iterator[Plan]:
    """A round for each hunt that may catch one of those that are still missing when it begins."""
    for number, hunt in enumerate(HUNTS, 1):
        if hunt.branches & set(missing()):
            yield Plan(
                f"{seed}-hunt-{number}",
                at_least=15.0,
                at_most=18.0,
                lease=1.0,
                end_within=60.0,
                mutations=hunt.mutations,
                arms=hunt.arms,
                sleep=hunt.sleep,
                projects=hunt.projects,
            )
