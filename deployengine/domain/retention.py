"""Retention: which releases an environment lets go, and which go altogether.

An environment whose phase says ``keep_releases: N`` lets a release go once N others of its project
and channel have succeeded there after its latest deployment there. It never lets go what is current
in it, nor what was before that, to which a rollback would go.

A release that one environment lets go and another keeps loses its logs there, and nothing else:
where it has been decides how it may go on. One that every environment it was in lets go is removed.
One that was nowhere yet is nobody's to let go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from deployengine.domain.lifecycle import Lifecycle

#: How many releases each environment keeps; one that is not named keeps all.
Rule = Mapping[str, int]

#: What is current, and what a rollback goes to.
_ALWAYS = 2


@dataclass(frozen=True, slots=True)
class Stay:
    """A release in an environment: the numbers of its latest deployment there, and success."""

    release: int
    channel: str | None
    environment: str
    last: int
    succeeded: int | None


@dataclass(frozen=True, slots=True)
class LetGo:
    """Releases that go altogether, and stays of others whose logs go."""

    releases: frozenset[int]
    stays: frozenset[Stay]


def rule_of(lifecycle: Lifecycle) -> Rule:
    """What a lifecycle says; an environment is in the first phase that names it."""
    phases = {name: lifecycle.phase_of(name) for name in lifecycle.environments}
    return {
        name: phase.keep_releases
        for name, phase in phases.items()
        if phase is not None and phase.keep_releases is not None
    }


def let_go(
    stays: Collection[Stay], rules: Mapping[str | None, Rule], held: Collection[int]
) -> LetGo:
    """What goes of one project, by the rules of its channels.

    Nothing of the ``held`` releases goes. A channel without a rule keeps all.
    """
    successes = _successes(stays)
    always = _always(stays)
    gone = {
        stay
        for stay in stays
        if stay.release not in held
        and (stay.environment, stay.release) not in always
        and _is_let_go(stay, rules.get(stay.channel, {}), successes)
    }
    staying = {stay.release for stay in stays if stay not in gone}
    releases = frozenset(stay.release for stay in gone) - staying
    return LetGo(releases, frozenset(stay for stay in gone if stay.release not in releases))


def _is_let_go(
    stay: Stay, rule: Rule, successes: Mapping[tuple[str | None, str], list[int]]
) -> bool:
    keep = rule.get(stay.environment)
    if keep is None:
        return False
    there = successes[stay.channel, stay.environment]
    return len(there) - bisect_right(there, stay.last) >= keep


def _successes(stays: Iterable[Stay]) -> Mapping[tuple[str | None, str], list[int]]:
    """The latest success of each release, by channel and environment, in order."""
    found: dict[tuple[str | None, str], list[int]] = defaultdict(list)
    for stay in stays:
        if stay.succeeded is not None:
            found[stay.channel, stay.environment].append(stay.succeeded)
    for numbers in found.values():
        numbers.sort()
    return found


def _always(stays: Iterable[Stay]) -> set[tuple[str, int]]:
    """The releases that came last into each environment, whichever channel brought them."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for stay in stays:
        if stay.succeeded is not None:
            found[stay.environment].append((stay.succeeded, stay.release))
    return {
        (environment, release)
        for environment, there in found.items()
        for _, release in sorted(there)[-_ALWAYS:]
    }
