"""Trials: one for each protection that the engine can leave out, and no other."""

from __future__ import annotations

from battery import mutations, scenario
from battery.trials import TRIALS
from deployengine import failpoints


def test_every_protection_of_the_engine_has_a_trial() -> None:
    assert mutations.untried() == []


def test_a_trial_leaves_out_only_what_the_engine_knows() -> None:
    named = {name for trial in TRIALS for name in (trial.protection, *trial.further)}

    assert named - failpoints.MUTATIONS.keys() == set()


def test_a_trial_arms_only_failpoints_that_the_engine_has() -> None:
    armed = {arm for trial in TRIALS for arms in trial.arms.values() for arm in arms}

    assert {arm.partition("=")[0] for arm in armed} - set(failpoints.POINTS) == set()


def test_a_trial_releases_projects_that_there_are() -> None:
    named = {project for trial in TRIALS for project in trial.projects}

    assert named - set(scenario.project_names()) == set()


def test_the_two_halves_of_a_trial_differ_in_the_protection_alone() -> None:
    for trial in TRIALS:
        without, with_it = (trial.plan("1", without=each) for each in (True, False))

        assert set(without.mutations) - set(with_it.mutations) == {trial.protection}
        assert [p.fault.kind for p in without.schedule] == [p.fault.kind for p in with_it.schedule]


def test_both_halves_of_a_trial_are_given_the_same_patience() -> None:
    for trial in TRIALS:
        assert trial.plan("1", without=True).end_within == trial.plan("1", without=False).end_within


def test_a_rule_is_left_unjudged_only_where_further_protections_are_left_out() -> None:
    for trial in TRIALS:
        assert not trial.harm_of_further or trial.further
        assert set(trial.harm_of_further).isdisjoint(trial.harm)
