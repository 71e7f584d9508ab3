"""``inbox``, ``approve``, ``guide``: what waits for people, and what they are told."""

from __future__ import annotations

import pytest

from tests.acceptance.catalogs import catalog, machine, project, step
from tests.cli.conftest import Say
from tests.support.fakes import House

APPROVE = {"name": "Approve", "kind": "manual", "instructions": "look at [it]"}


def asking(house: House, **more: object) -> None:
    house.apply(catalog(project("web", process=[{**APPROVE, **more}])))
    house.create("web", "1.0")
    house.deliver_all()


def test_each_entry_names_its_deployment(house: House, say: Say) -> None:
    asking(house)
    told = say("inbox").out.splitlines()[1]
    assert told.split()[:3] == ["run-1", "dep-1", "approval"]
    assert "look at [it]" in told
    assert "approve run-1 [--abort]" in told


def test_an_empty_inbox_tells_of_what_waits_for_others(house: House, say: Say) -> None:
    assert say("inbox").out == "nothing waits for you\n"
    asking(house, responsible=["ann"])
    assert say("inbox").out == "nothing waits for you; 1 wait for others (inbox --all)\n"
    assert "run-1  dep-1" in say("inbox", "--all").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("approve", "dep-1"), "run-1: proceed is taken, it is succeeded; dep-1: queued\n"),
        (("approve", "dep-1", "--abort"), "run-1: abort is taken, it is failed; dep-1: queued\n"),
    ],
)
def test_an_answer_is_confirmed(house: House, say: Say, words: tuple[str, ...], said: str) -> None:
    asking(house)
    assert say(*words).out == said


def test_an_answer_that_leaves_others_open_names_them(house: House, say: Say) -> None:
    failing = project("web", process=[step("exit 3\n")], guided_failure=True)
    house.apply(catalog(failing, machines=[machine("qa-[1:3]", "QA")]))
    house.create("web", "1.0")
    house.deliver_all()
    told = say("guide", "run-1", "exclude").out
    assert told == "run-1: exclude is taken, it is failed; dep-1: paused, asked by run-2, run-3\n"
