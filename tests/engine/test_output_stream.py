"""A run's output on its way into the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from deployengine.engine.claims import Claimed
from deployengine.engine.output_stream import PIECE, TURN, OutputStream
from deployengine.steps.contract import State, Status
from deployengine.steps.masking import Masker
from deployengine.steps.wake import Wake
from tests.acceptance.catalogs import catalog, project
from tests.support.fakes import House


@dataclass
class Printed:
    """A ticket whose script has printed this and ended."""

    text: bytes
    looks: int = 0

    def output(self, offset: int, limit: int = PIECE) -> bytes:
        self.looks += 1
        return self.text[offset : offset + limit]

    def status(self) -> Status:
        return Status(State.EXITED, 0)

    def wait(self, timeout: timedelta, wake: Wake | None = None) -> Status:
        return self.status()

    def outputs(self) -> dict[str, str]:
        return {}

    def cancel(self) -> None: ...

    def clean(self) -> None: ...


def claimed(house: House) -> Claimed:
    """A run that this process has claimed."""
    house.apply(catalog(project("app", "true\n")))
    house.create("app")
    house.deliver_chains()
    (run,) = house.dispatcher.take_runs()
    house.lease.beat()
    found = house.step_runs.claims.claim(run.run_id, run.granted_at, house.lease.name)
    assert found is not None
    return found


def kept(house: House, ticket: Printed, limit: int, *secrets: str) -> str:
    stream = OutputStream(house.database, claimed(house), ticket, Masker(secrets), limit=limit)
    stream.finish()
    rest = stream.rest
    return rest[2] if rest else ""


def test_of_a_script_that_prints_without_end_the_beginning_is_kept_and_the_rest_counted(
    house: House,
) -> None:
    text = kept(house, Printed(b"0123456789" * 10), 25)
    assert text == "0123456789012345678901234\n… 75 bytes more were left out\n"


def test_an_output_up_to_the_limit_is_kept_whole(house: House) -> None:
    assert kept(house, Printed(b"0123456789"), 10) == "0123456789"


def test_a_secret_that_the_limit_cuts_is_not_shown_in_part(house: House) -> None:
    text = kept(house, Printed(b"it is geheim and geheim"), 10, "geheim")
    assert text == "it is \n… 13 bytes more were left out\n"


def test_one_look_reads_so_much_at_most_that_time_out_and_cancel_are_heard(house: House) -> None:
    ticket = Printed(b"x" * (3 * TURN))
    run = claimed(house)
    OutputStream(house.database, run, ticket, Masker(())).finish()
    whole = ticket.looks
    ticket.looks = 0
    stream = OutputStream(house.database, run, ticket, Masker(()))
    stream._read_on(TURN)
    assert ticket.looks * 2 < whole
