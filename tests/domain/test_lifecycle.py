"""Which environments a release may enter, and which by itself."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.lifecycle import Lifecycle, Phase

NAMES = ("A", "B", "C", "D", "E", "F")

QA = Phase("QA", automatic=("QA",))
STAGING = Phase("Staging", automatic=("Staging",))
PRODUCTION = Phase("Production", automatic=("Production",))
THREE = Lifecycle("auto", (QA, STAGING, PRODUCTION))


def test_a_new_release_enters_the_first_phase_only() -> None:
    assert THREE.automatic_at_start() == ("QA",)
    assert THREE.obstacle("QA", ()) is None
    assert THREE.obstacle("Staging", ()) == QA
    assert THREE.obstacle("Production", ()) == QA
    assert THREE.obstacle("Production", {"QA"}) == STAGING


def test_a_success_opens_the_phase_behind_it_once() -> None:
    assert THREE.automatic_after("QA", set()) == ("Staging",)
    assert THREE.automatic_after("QA", {"QA"}) == ()
    assert THREE.automatic_after("QA", {"QA", "Staging"}) == ()
    assert THREE.automatic_after("Production", {"QA", "Staging"}) == ()


def test_a_manual_environment_opens_and_is_entered_by_nobody_itself() -> None:
    way = Lifecycle("manual", (QA, Phase("Live", manual=("Production",))))
    assert way.automatic_after("QA", set()) == ()
    assert way.obstacle("Production", {"QA"}) is None


def test_all_of_a_phase_must_succeed_unless_it_names_a_minimum() -> None:
    both = Phase("QA", automatic=("A",), manual=("B",))
    assert not both.complete({"A"})
    assert both.complete({"A", "B"})
    one = Phase("QA", automatic=("A",), manual=("B",), minimum=1)
    assert not one.complete(set())
    assert one.complete({"B"})


@pytest.mark.parametrize(
    ("names", "minimum", "said"),
    [
        ("A", 0, "A"),
        ("A", 1, "A"),
        ("AB", 0, "A and B"),
        ("AB", 1, "one of A, B"),
        ("ABC", 2, "2 of A, B, C"),
        ("ABC", 3, "A and B and C"),
    ],
)
def test_it_is_said_whose_success_completes_a_phase(names: str, minimum: int, said: str) -> None:
    assert Phase("QA", tuple(names), minimum=minimum).wanted == said


def test_who_comes_after_the_minimum_opens_nothing_more() -> None:
    way = Lifecycle("two of three", (Phase("QA", ("A", "B", "C"), minimum=2), PRODUCTION))
    assert way.automatic_after("A", set()) == ()
    assert way.automatic_after("B", {"A"}) == ("Production",)
    assert way.automatic_after("C", {"A", "B"}) == ()


def test_an_optional_phase_is_open_at_once_with_the_one_behind_it_and_never_by_itself() -> None:
    way = Lifecycle("way", (QA, Phase("Staging", ("Staging",), optional=True), PRODUCTION))
    assert way.automatic_after("QA", set()) == ("Production",)
    assert way.obstacle("Staging", {"QA"}) is None
    assert way.automatic_after("Staging", {"QA"}) == ()


def test_an_optional_phase_in_front_bars_nobody() -> None:
    way = Lifecycle("way", (Phase("Dev", ("Dev",), optional=True), QA, PRODUCTION))
    assert way.automatic_at_start() == ("QA",)
    assert way.obstacle("Dev", ()) is None
    assert way.obstacle("Production", ()) == QA


def test_a_phase_without_environments_means_all_that_none_before_it_names() -> None:
    way = Lifecycle("way", (QA, Phase("Any"), PRODUCTION))
    filled = way.filled(("Dev", "QA", "Staging", "Production"))
    assert filled.phases[1].manual == ("Dev", "Staging", "Production")
    assert filled.phases[0] == QA
    assert filled.environments == ("QA", "Dev", "Staging", "Production", "Production")


def test_an_environment_that_no_phase_names_has_no_phase() -> None:
    assert THREE.phase_of("Dev") is None
    assert THREE.phase_of("Staging") == STAGING


@st.composite
def _lifecycles(draw: st.DrawFn) -> Lifecycle:
    """Phases over distinct environments, automatic and manual, with minima, some optional."""
    names = list(draw(st.permutations(NAMES)))
    phases: list[Phase] = []
    while names:
        taken = [names.pop() for _ in range(draw(st.integers(1, min(3, len(names)))))]
        cut = draw(st.integers(0, len(taken)))
        phases.append(
            Phase(
                f"phase {len(phases)}",
                automatic=tuple(taken[:cut]),
                manual=tuple(taken[cut:]),
                minimum=draw(st.integers(0, len(taken))),
                optional=draw(st.booleans()),
            )
        )
    return Lifecycle("any", tuple(phases))


@given(_lifecycles(), st.permutations(NAMES))
def test_in_whatever_order_successes_come_each_environment_opens_by_itself_once_at_most(
    way: Lifecycle, order: list[str]
) -> None:
    opened = list(way.automatic_at_start())
    succeeded: set[str] = set()
    for name in order:
        opened += way.automatic_after(name, succeeded)
        succeeded.add(name)
    assert len(opened) == len(set(opened))
    assert set(opened) == {e for p in way.phases if not p.optional for e in p.automatic}


@given(_lifecycles())
def test_progress_never_closes_what_was_open(way: Lifecycle) -> None:
    for size in range(len(NAMES)):
        for done in combinations(NAMES, size):
            more = {*done, NAMES[size]}
            assert set(way.reached(done)) <= set(way.reached(more))


@given(_lifecycles())
def test_the_stored_form_says_the_same(way: Lifecycle) -> None:
    assert Lifecycle.from_document(way.to_document()) == way
