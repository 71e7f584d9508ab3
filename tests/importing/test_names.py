"""Names that a catalog can bear."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployengine.catalog.names import plain, ranged
from deployengine.catalog.ranges import expand
from deployengine.importing.names import Names, legal
from deployengine.importing.report import Place, Report

PLACE = Place("a.json", "step Stop/Drain")


@given(wanted=st.text())
def test_any_text_becomes_a_name_that_stands_for_itself_alone(wanted: str) -> None:
    assert plain(legal(wanted)) == legal(wanted)
    assert ranged(legal(wanted, ranged=True)) == legal(wanted, ranged=True)
    assert expand(legal(wanted, ranged=True)) == (legal(wanted, ranged=True),)


@given(wanted=st.lists(st.text(max_size=130)))
def test_no_two_things_get_one_name(wanted: list[str]) -> None:
    names = Names()

    given_ = [names.give(str(index), each).casefold() for index, each in enumerate(wanted)]

    assert len(set(given_)) == len(given_)


def test_a_name_that_can_be_used_stays() -> None:
    names, report = Names(), Report()
    names.give("1", "Stop and drain")

    assert names.entry("1", PLACE, report) == {"name": "Stop and drain"}
    assert report.losses == []


def test_a_name_that_cannot_be_used_is_changed_and_told() -> None:
    names, report = Names(), Report()
    names.give("1", "Stop/Drain")

    entry = names.entry("1", PLACE, report)

    assert entry == {"name": "Stop-Drain"}
    assert entry.notes == ["the name 'Stop/Drain' cannot be used; it is 'Stop-Drain'"]
    assert names.changed() == {"Stop/Drain": "Stop-Drain"}
    (loss,) = report.losses
    assert (loss.file, loss.name) == ("a.json", "step Stop/Drain")


def test_what_another_thing_is_called_still_means_that_one() -> None:
    names = Names()
    names.give("child", "Install")
    names.give("group", "Install")

    assert names.find("group") == "Install (2)"
    assert names.changed() == {}
