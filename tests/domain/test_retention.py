"""What an environment lets go: never what is current, nor what a rollback would go to."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.retention import LetGo, Rule, Stay, let_go, rule_of


def stays(*deployments: str, channels: dict[int, str] | None = None) -> list[Stay]:
    """Deployments in order, each as "QA 1 ok" or "QA 1 bad": what came of them all together."""
    found: dict[tuple[int, str], list[Any]] = {}
    for number, said in enumerate(deployments, 1):
        environment, release, end = said.split()
        last = found.setdefault((int(release), environment), [None, None])
        last[0] = number
        if end == "ok":
            last[1] = number
    return [
        Stay(release, (channels or {}).get(release), environment, last, succeeded)
        for (release, environment), (last, succeeded) in found.items()
    ]


def gone(found: LetGo) -> tuple[list[int], list[tuple[int, str]]]:
    return sorted(found.releases), sorted((s.release, s.environment) for s in found.stays)


def qa(keep: int, *deployments: str, held: frozenset[int] = frozenset()) -> list[int]:
    """The releases that go where QA keeps so many."""
    said = stays(*(f"QA {each}" for each in deployments))
    releases, logs = gone(let_go(said, {None: {"QA": keep}}, held))
    assert logs == []
    return releases


def test_as_many_as_the_phase_says_are_kept_the_latest_first() -> None:
    assert qa(3, "1 ok", "2 ok", "3 ok", "4 ok", "5 ok") == [1, 2]
    assert qa(5, "1 ok", "2 ok", "3 ok", "4 ok", "5 ok") == []


def test_what_is_current_and_what_was_before_it_stay_although_only_one_is_kept() -> None:
    assert qa(1, "1 ok", "2 ok", "3 ok", "4 ok") == [1, 2]


def test_after_a_rollback_what_is_current_is_what_came_back() -> None:
    assert qa(1, "1 ok", "2 ok", "3 ok", "4 ok", "1 ok") == [2, 3]


def test_what_failed_goes_once_enough_others_have_succeeded_after_it() -> None:
    assert qa(2, "1 bad", "2 ok", "3 ok") == [1]
    assert qa(2, "1 bad", "2 ok", "3 bad") == []
    assert qa(2, "1 ok", "2 ok", "3 bad", "4 bad") == [], "failures push nothing out"


def test_a_release_that_was_tried_again_of_late_stays() -> None:
    assert qa(2, "1 ok", "2 ok", "3 ok", "1 bad") == []
    assert qa(2, "1 ok", "2 ok", "3 ok", "1 bad", "4 ok", "5 ok") == [1, 2, 3]


def test_the_same_release_many_times_counts_once() -> None:
    assert qa(2, "1 ok", "2 ok", *["3 ok"] * 9) == [1]
    assert qa(3, "1 ok", "2 ok", *["3 ok"] * 9) == []


def test_an_environment_whose_phase_says_nothing_keeps_all() -> None:
    said = stays("QA 1 ok", "QA 2 ok", "QA 3 ok")
    assert gone(let_go(said, {None: {}}, ())) == ([], [])
    assert gone(let_go(said, {None: {"Production": 1}}, ())) == ([], [])


def test_a_release_that_another_environment_keeps_loses_its_logs_only() -> None:
    said = stays("QA 1 ok", "Production 1 ok", "QA 2 ok", "QA 3 ok")
    rule = {"QA": 1, "Production": 1}
    assert gone(let_go(said, {None: rule}, ())) == ([], [(1, "QA")])


def test_each_channel_keeps_its_own_but_what_is_current_is_whatever_came_last() -> None:
    said = stays(
        *("QA 1 ok", "QA 2 ok", "QA 3 ok", "QA 4 ok", "QA 5 ok", "QA 6 ok"),
        channels={3: "hotfix", 4: "hotfix"},
    )
    assert gone(let_go(said, {None: {"QA": 2}, "hotfix": {"QA": 2}}, ()))[0] == [1, 2]
    assert gone(let_go(said, {None: {"QA": 1}, "hotfix": {"QA": 1}}, ()))[0] == [1, 2, 3]
    assert gone(let_go(said, {None: {"QA": 1}}, ()))[0] == [1, 2], "that channel has no rule"


def test_nothing_of_a_held_release_goes() -> None:
    assert qa(1, "1 ok", "2 ok", "3 ok", "4 ok", held=frozenset({1})) == [2]
    said = stays("QA 1 ok", "Production 1 ok", "QA 2 ok", "QA 3 ok")
    assert gone(let_go(said, {None: {"QA": 1, "Production": 1}}, {1})) == ([], [])


def test_an_environment_is_ruled_by_the_first_phase_that_names_it() -> None:
    phases = [
        {"name": "A", "automatic": ["QA"], "keep_releases": 3},
        {"name": "B", "manual": ["QA", "Staging"], "keep_releases": 5},
        {"name": "C", "manual": ["Production"]},
    ]
    lifecycle = Lifecycle.from_document({"name": "all", "phases": phases})
    assert rule_of(lifecycle) == {"QA": 3, "Staging": 5}


# ---- whatever has been deployed ----

Deployment = tuple[str, int, str]
ENVIRONMENTS = ("QA", "Staging", "Production")
_DEPLOYMENTS = st.lists(
    st.tuples(
        st.sampled_from(ENVIRONMENTS),
        st.integers(1, 8),
        st.sampled_from(["ok", "ok", "bad"]),
    ),
    max_size=40,
)
_RULES = st.dictionaries(
    st.sampled_from([None, "hotfix"]),
    st.dictionaries(st.sampled_from(ENVIRONMENTS), st.integers(1, 4)),
)
_CHANNELS = st.dictionaries(st.integers(1, 8), st.just("hotfix"))
_HELD = st.frozensets(st.integers(1, 8))


@given(_DEPLOYMENTS, _RULES, _CHANNELS, _HELD)
def test_it_goes_by_the_words_of_the_rule(
    deployments: list[Deployment],
    rules: dict[str | None, Rule],
    channels: dict[int, str],
    held: frozenset[int],
) -> None:
    said = stays(*(" ".join(map(str, each)) for each in deployments), channels=channels)
    found = let_go(said, rules, held)
    let = {(s.release, s.environment) for s in said if s.release in found.releases}
    let |= {(s.release, s.environment) for s in found.stays}
    for stay in said:
        there = [(r, end) for e, r, end in deployments if e == stay.environment]
        last = max(at for at, (release, _) in enumerate(there) if release == stay.release)
        channel = channels.get(stay.release)
        later = {r for r, end in there[last:] if end == "ok" and channels.get(r) == channel}
        keep = rules.get(channel, {}).get(stay.environment)
        goes = (
            keep is not None
            and len(later - {stay.release}) >= keep
            and stay.release not in _latest(there)[:2]
            and stay.release not in held
        )
        assert ((stay.release, stay.environment) in let) == goes
    staying = {s.release for s in said if (s.release, s.environment) not in let}
    assert found.releases == {s.release for s in said} - staying


@given(_DEPLOYMENTS, st.integers(1, 4))
def test_the_latest_that_succeeded_are_kept_and_always_two(
    deployments: list[Deployment], keep: int
) -> None:
    said = stays(*(" ".join(map(str, each)) for each in deployments))
    rule = dict.fromkeys(ENVIRONMENTS, keep)
    found = let_go(said, {None: rule}, ())
    for environment in ENVIRONMENTS:
        kept = _latest([(r, end) for e, r, end in deployments if e == environment])
        kept = kept[: max(keep, 2)]
        assert not found.releases & {*kept}
        assert not {s.release for s in found.stays if s.environment == environment} & {*kept}


def _latest(there: list[tuple[int, str]]) -> list[int]:
    """The releases that have succeeded there, the latest first."""
    return list(dict.fromkeys(release for release, end in reversed(there) if end == "ok"))


@given(_DEPLOYMENTS, st.integers(1, 4))
def test_who_keeps_more_loses_less(deployments: list[Deployment], keep: int) -> None:
    said = stays(*(" ".join(map(str, each)) for each in deployments))

    def lost(keep: int) -> set[tuple[int, str]]:
        found = let_go(said, {None: dict.fromkeys(ENVIRONMENTS, keep)}, ())
        whole = {(s.release, s.environment) for s in said if s.release in found.releases}
        return whole | {(s.release, s.environment) for s in found.stays}

    assert lost(keep + 1) <= lost(keep)
