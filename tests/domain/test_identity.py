"""Ids: how releases, deployments and step runs are called."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployengine.domain.identity import (
    BadId,
    Kind,
    deployment_id,
    number_of,
    parse,
    release_id,
    run_id,
)

NAMED = {Kind.RELEASE: release_id, Kind.DEPLOYMENT: deployment_id, Kind.RUN: run_id}


@given(st.sampled_from(list(Kind)), st.integers(1, 10**18 - 1))
def test_an_id_is_read_back_as_what_it_names(kind: Kind, number: int) -> None:
    text = NAMED[kind](number)
    assert parse(text) == (kind, number)
    assert number_of(text, kind) == number


@pytest.mark.parametrize("text", [" dep-17 ", "DEP-17", "Dep-17\n"])
def test_case_and_space_around_do_not_count(text: str) -> None:
    assert parse(text) == (Kind.DEPLOYMENT, 17)


@given(st.text())
def test_any_text_is_an_id_or_refused_as_one(text: str) -> None:
    with suppress(BadId):
        kind, number = parse(text)
        assert NAMED[kind](number) == text.strip().lower()


@pytest.mark.parametrize(
    "text", ["", "17", "dep17", "dep-", "dep-0", "dep-01", "dep--1", "dep-1.0", "job-1", "dep-1 2"]
)
def test_what_is_no_id_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BadId, match="ids look like rel-3, dep-17 or run-1044"):
        parse(text)


def test_a_bare_number_will_do_where_the_kind_is_known() -> None:
    assert number_of(" 17 ", Kind.DEPLOYMENT) == 17


def test_an_id_of_another_kind_is_refused() -> None:
    with pytest.raises(BadId, match="give an id like dep-17"):
        number_of("run-3", Kind.DEPLOYMENT)


@given(st.text())
def test_any_text_is_a_number_or_refused_as_an_id(text: str) -> None:
    try:
        number = number_of(text, Kind.RUN)
    except BadId:
        return
    assert 0 <= number < 10**18


@pytest.mark.parametrize("text", ["²", "①", "9" * 19, "9" * 5000], ids=["²", "①", "19", "5000"])
def test_digits_that_are_no_number_of_ours_are_refused_as_no_id(text: str) -> None:
    with pytest.raises(BadId):
        number_of(text, Kind.RUN)
