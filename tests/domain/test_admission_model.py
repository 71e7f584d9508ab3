"""Every state that small configurations can reach, and what must be true in each of them.

The truths are written here once more, straight from the prose and without the specification's own
tables. Each condition of the rule is left out once, and then a named truth must fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import pytest

from deployengine.domain.admission import (
    Admission,
    Claim,
    Mode,
    Request,
    Rule,
    any_holder,
    earlier_exclusive_waiter,
    earlier_waiter,
    exclusive_holder,
    taken_places,
)

Start = Callable[[Iterable[Request], Iterable[Request]], Admission]
Claims = dict[str, Mode | int]  # a number: shared, with this limit

X, S = Mode.EXCLUSIVE, Mode.SHARED
CONFIGURATIONS: dict[str, list[Claims]] = {
    "five bypassers and not on one machine": [{"m": S}, {"m": S}, {"m": X}, {"m": S}, {"m": S}],
    "exclusive and shared in turns": [{"m": X}, {"m": S}, {"m": X}, {"m": S}, {"m": X}, {"m": S}],
    "two at once on a machine": [{"m": 2}, {"m": 2}, {"m": X}, {"m": 2}, {"m": 2}, {"m": 2}],
    "two machines, taken crosswise": [
        {"a": X, "b": X}, {"b": X}, {"a": X}, {"b": X, "a": S}, {"a": S}, {"b": S},
    ],
    "philosophers": [
        {"a": X, "b": X}, {"b": X, "c": X}, {"c": X, "a": X}, {"a": S, "b": S}, {"c": S},
    ],
    "resources within a limited machine": [
        {"m": 2, "iis": X}, {"m": 2, "iis": X}, {"m": 2, "db": S}, {"m": 2, "db": X}, {"m": X},
        {"m": 2, "iis": S, "db": S},
    ],
    "one place, and a resource beside it": [
        {"iis": X}, {"m": 1, "iis": X}, {"m": 1}, {"m": 1, "iis": S}, {"m": 1}, {"m": X},
    ],
    "a limit that was changed": [{"m": 1}, {"m": 2}, {"m": 1}, {"m": 2}, {"m": S}, {"m": X}],
}  # fmt: skip
# Bounded waiting is promised only where all claims on a resource bear the same limit.
SAME_LIMITS = [name for name in CONFIGURATIONS if name != "a limit that was changed"]


def requests_of(name: str) -> tuple[Request, ...]:
    return tuple(
        Request(f"r{ticket}", ticket, tuple(claim_of(*item) for item in claims.items()))
        for ticket, claims in enumerate(CONFIGURATIONS[name], 1)
    )


def claim_of(resource: str, how: Mode | int) -> Claim:
    return Claim(resource, how) if isinstance(how, Mode) else Claim(resource, S, how)


def clash(one: Request, other: Request) -> bool:
    return any(
        a.resource == b.resource and X in (a.mode, b.mode) for a in one.claims for b in other.claims
    )


def crowded(claim: Claim, holding: Iterable[Request]) -> bool:
    users = sum(claim.resource in {each.resource for each in other.claims} for other in holding)
    return claim.limit is not None and users >= claim.limit


def may_start(request: Request, holding: Iterable[Request], waiting: Iterable[Request]) -> bool:
    earlier = [other for other in waiting if other.ticket < request.ticket]
    return not (
        any(clash(request, other) for other in [*holding, *earlier])
        or any(crowded(claim, holding) for claim in request.claims)
    )


@dataclass(frozen=True)
class State:
    """Each request is yet to come, waits, holds, or has gone: tickets arrive in every order."""

    coming: frozenset[Request]
    waiting: frozenset[Request] = frozenset()
    holding: frozenset[Request] = frozenset()

    def moves(self, start: Start) -> Iterator[tuple[State, tuple[str, ...]]]:
        """Every arrival, every departure, and every departure of two at once."""
        for new in self.coming:
            admission = start(self.holding, self.waiting)
            yield after(admission, self.coming - {new}, admission.submit(new))
        known = sorted(self.holding | self.waiting, key=lambda each: each.ticket)
        for leaving in [*combinations(known, 1), *combinations(known, 2)]:
            admission = start(self.holding, self.waiting)
            granted = admission.release(*(each.id for each in leaving))
            yield after(admission, self.coming, granted)


def after(
    admission: Admission, coming: frozenset[Request], granted: tuple[str, ...]
) -> tuple[State, tuple[str, ...]]:
    return State(coming, frozenset(admission.waiting), frozenset(admission.holding)), granted


def explore(requests: tuple[Request, ...], start: Start) -> tuple[set[State], set[str]]:
    """Every reachable state, and the name of every truth that fails in one of them."""
    first = State(coming=frozenset(requests))
    seen, open_states, broken = {first}, [first], set[str]()
    while open_states:
        state = open_states.pop()
        broken.update(faults_of_state(state))
        for reached, granted in state.moves(start):
            broken.update(faults_of_move(state, reached, granted))
            if reached not in seen:
                seen.add(reached)
                open_states.append(reached)
    return seen, broken


def faults_of_state(state: State) -> Iterator[str]:
    holding, waiting = state.holding, state.waiting
    if any(clash(one, other) for one, other in combinations(holding, 2)):
        yield "clash"
    if any(may_start(each, holding, waiting) for each in waiting):
        yield "left waiting"
    if waiting and not holding:
        yield "deadlock"


def faults_of_move(before: State, reached: State, granted: tuple[str, ...]) -> Iterator[str]:
    fresh = reached.holding - before.holding
    if tuple(each.id for each in sorted(fresh, key=lambda each: each.ticket)) != granted:
        yield "report"
    room_taken = set(reached.holding - fresh)
    for each in sorted(fresh, key=lambda each: each.ticket):
        if any(crowded(claim, room_taken) for claim in each.claims):
            yield "limit"
        room_taken.add(each)
    for earlier in reached.waiting:
        passing = [each for each in fresh if each.ticket > earlier.ticket]
        if any(clash(earlier, each) for each in passing):
            yield "overtaking"
        # A place that went to a later ticket, though the earlier one lacked nothing else.
        without_limits = Request(earlier.id, earlier.ticket, tuple(map(unlimited, earlier.claims)))
        if may_start(without_limits, reached.holding, reached.waiting) and any(
            a.resource == b.resource and a.limit == b.limit is not None
            for each in passing
            for a in each.claims
            for b in earlier.claims
        ):
            yield "overtaking for a place"


def unlimited(claim: Claim) -> Claim:
    return Claim(claim.resource, claim.mode)


def rounds_until_granted(state: State, waiter: Request, start: Start, longest: int) -> int:
    """Rounds, in each of which every holder leaves and at once asks again at the tail."""
    admission = start(state.holding, state.waiting)
    ticket = 1000
    for number in range(1, longest + 1):
        for holder in admission.holding:
            admission.release(holder.id)
            ticket += 1
            admission.submit(Request(f"r{ticket}", ticket, holder.claims))
            if waiter in admission.holding:
                return number
    return longest + 1


def waits_too_long(states: Iterable[State], start: Start) -> bool:
    """Whether someone waits for more than two rounds for each ticket before it and itself.

    Two, as the first of all may need one until nothing but a place is lacking, and one for that.
    """
    return any(
        rounds_until_granted(state, waiter, start, bound) > bound
        for state in states
        for waiter in state.waiting
        for bound in [2 + 2 * sum(each.ticket < waiter.ticket for each in state.waiting)]
    )


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_reachable_state_is_free_of_clash_overtaking_and_deadlock(name: str) -> None:
    states, broken = explore(requests_of(name), Admission)

    assert broken == set()
    assert len(states) > 2 ** len(CONFIGURATIONS[name])


@pytest.mark.parametrize("name", SAME_LIMITS)
def test_from_every_state_each_waiter_is_granted_after_two_rounds_for_each_ticket_before_it(
    name: str,
) -> None:
    states, _ = explore(requests_of(name), Admission)

    assert not waits_too_long(states, Admission)


class NeverWakes(Admission):
    """A release that lets go and looks at nobody."""

    def candidates(self, resources: Iterable[str]) -> Iterable[Request]:
        return ()


def under(rule: Rule) -> Start:
    return lambda holding, waiting: Admission(holding, waiting, rule)


MUTATIONS: dict[str, tuple[Start, str]] = {
    "exclusive ignores holders": (under(Rule(exclusive=(earlier_waiter,))), "clash"),
    "exclusive ignores earlier waiters": (under(Rule(exclusive=(any_holder,))), "overtaking"),
    "exclusive ignores earlier shared waiters": (
        under(Rule(exclusive=(any_holder, earlier_exclusive_waiter))),
        "overtaking",
    ),
    "shared ignores exclusive holder": (
        under(Rule(shared=(earlier_exclusive_waiter, taken_places))),
        "clash",
    ),
    "shared ignores earlier exclusive waiter": (
        under(Rule(shared=(exclusive_holder, taken_places))),
        "overtaking",
    ),
    "limit ignored": (under(Rule(shared=(exclusive_holder, earlier_exclusive_waiter))), "limit"),
    "a set granted when any claim is free": (under(Rule(whole=any)), "clash"),
    "release does not wake": (NeverWakes, "deadlock"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_check_finds_each_condition_of_the_rule_that_is_left_out(mutation: str) -> None:
    start, fault = MUTATIONS[mutation]

    assert any(fault in explore(requests_of(name), start)[1] for name in CONFIGURATIONS)


class TwoLimits(Request):
    """What a request refuses to be, to show why."""

    def __post_init__(self) -> None:
        pass


def test_with_two_limited_claims_a_request_could_wait_forever() -> None:
    one_a, one_b = Claim("a", S, 1), Claim("b", S, 1)
    waiter = TwoLimits("r3", 3, (one_a, one_b))
    holding = frozenset({Request("r1", 1, (one_a,)), Request("r2", 2, (one_b,))})

    state = State(frozenset(), frozenset({waiter}), holding)

    assert rounds_until_granted(state, waiter, Admission, longest=50) > 50
