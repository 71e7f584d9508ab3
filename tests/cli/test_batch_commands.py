"""``batch``: what is told while it is waited for, and when nobody waits any longer."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.catalogs import catalog, project
from tests.cli.conftest import Say
from tests.support.fakes import House


def rows(text: str) -> str:
    Path("batch.csv").write_text(f"project,version\n{text}")
    return "batch.csv"


def test_options_of_waiting_may_come_before_it(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    file = rows("web,1.0\n")
    for words in (("--timeout", "0", "--wait"), ("--wait", "--timeout", "0")):
        assert "gave up waiting" in say("batch", "run", file, *words, code=4).err


def test_who_gives_up_waiting_has_the_report_of_what_is_known(house: House, say: Say) -> None:
    house.apply(catalog(project("web", "true\n")))
    words = ("batch", "run", rows("web,1.0\n"), "--wait", "--timeout", "0", "--html", "page.html")
    told = say(*words, code=4)
    assert told.out == ""
    assert "web" in Path("page.html").read_text()
