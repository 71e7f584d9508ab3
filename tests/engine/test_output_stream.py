"""A run's output on its way into the database."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deployengine.domain.errors import Unreachable
from deployengine.engine.claims import Claimed, Inherited, Relinquished
from deployengine.engine.output_stream import LIMIT, PIECE, TURN, OutputStream
from deployengine.persistence.records import RunRecord
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

    def clean_soon(self) -> None: ...


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


# ---- carried on by others ----


@dataclass
class Printing(Printed):
    """A ticket whose script has printed so far only; it is read in pieces of any size."""

    so_far: int = 0
    piece: int = PIECE

    def output(self, offset: int, limit: int = PIECE) -> bytes:
        return self.text[offset : min(self.so_far, offset + self.piece)]


class Follower(Enum):
    """What happens to whoever follows the script when it has printed a little more."""

    SAVES = "it stores what there is"
    CUT_OFF = "it cannot reach the database"
    UNANSWERED = "what it stores is stored, and it does not hear of it"
    LOST = "another one takes over"


@dataclass(frozen=True)
class Case:
    """What a script prints, what is secret, and how it goes for those who follow it."""

    text: bytes
    secrets: tuple[str, ...]
    piece: int
    limit: int
    ways: tuple[tuple[int, Follower], ...]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Texts in which secrets, their parts, and parts of characters are likely."""
    secrets = draw(st.lists(st.sampled_from(SECRETS), max_size=3, unique=True))
    wholes = [secret.encode() for secret in secrets] + ["äö€\N{GRINNING FACE}".encode()]
    parts = st.sampled_from(wholes).flatmap(
        lambda whole: st.tuples(
            st.just(whole), st.integers(0, len(whole)), st.integers(0, len(whole))
        ).map(lambda cut: cut[0][cut[1] : cut[2] or None])
    )
    texts = st.one_of(st.binary(max_size=6), parts, st.sampled_from([b"\n", b"\0", b"abc"]))
    text = b"".join(draw(st.lists(texts, max_size=12)))
    ways = st.tuples(st.integers(0, len(text)), st.sampled_from(Follower))
    return Case(
        text,
        tuple(secrets),
        draw(st.sampled_from([1, 2, 3, 7, PIECE])),
        draw(st.sampled_from([*range(1, 20), LIMIT])),
        tuple(draw(st.lists(ways, max_size=6))),
    )


SECRETS = ("geheim", "geheimnis", "heimlich", "aXbX\nXcXd", "äöü", "abcabc", "xyz")


class Relay:
    """A run in the database that is handed from one worker to the next."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._inherited = house.step_runs.claims.take_over(_gone(house), "nobody knows 0")
        self._takers = count(1)

    def undisturbed(self, case: Case) -> str:
        """What is kept of the output when nothing happens."""
        ticket = Printed(case.text)
        run, masker = self._now.claimed, Masker(case.secrets)
        stream = OutputStream(self._house.database, run, ticket, masker, limit=case.limit)
        stream.finish()
        return stream.rest[2] if stream.rest else ""

    def carried(self, case: Case) -> str:
        """What is stored of it in the end when it goes this way."""
        self._forget()
        ticket = Printing(case.text, piece=case.piece)
        stream = self._take_over(case, ticket)
        for more, follower in case.ways:
            ticket.so_far = min(len(case.text), ticket.so_far + more)
            if follower is Follower.LOST:
                stream = self._take_over(case, ticket)
            else:
                self._save(stream, follower)
        ticket.so_far = len(case.text)
        stream.finish()
        run = self._now.claimed.run.id
        with self._house.database.write() as tx:
            if stream.rest:
                tx.outputs.append(run, *stream.rest)
            return "".join(text for _, text in tx.outputs.pieces(run))

    @property
    def _now(self) -> Inherited:
        assert self._inherited is not None
        return self._inherited

    def _take_over(self, case: Case, ticket: Printing) -> OutputStream:
        claims, run = self._house.step_runs.claims, self._now.claimed.run
        self._inherited = claims.take_over(run, f"nobody knows {next(self._takers)}")
        now = self._now
        return OutputStream(
            *(self._house.database, now.claimed, ticket, Masker(case.secrets)),
            stored=now.stored,
            limit=case.limit,
        )

    def _save(self, stream: OutputStream, follower: Follower) -> None:
        database = self._house.database
        database.away = follower is Follower.CUT_OFF
        database.unanswered = ["output"] if follower is Follower.UNANSWERED else []
        with suppress(Unreachable):
            stream.save()
        database.away, database.unanswered = False, []

    def _forget(self) -> None:
        with self._house.database.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM run_output")


def _gone(house: House) -> RunRecord:
    """A run whose worker has left."""
    run = claimed(house).run
    house.lease.leave()
    return run


@pytest.fixture
def relay(house: House) -> Relay:
    return Relay(house)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases())
@example(
    # The secret is cut by the take-over, and so is the character before it.
    case=Case(
        *("ägeheim€".encode(), ("geheim",), 1, LIMIT),
        tuple((n, f) for n in (1, 4, 2) for f in (Follower.SAVES, Follower.LOST)),
    )
)
@example(
    # What was stored and not heard of ends elsewhere than what the next one has read.
    case=Case(
        *(b"one\ntwo\nthree\n", (), 3, LIMIT),
        ((4, Follower.UNANSWERED), (4, Follower.UNANSWERED), (0, Follower.LOST)),
    )
)
def test_however_often_a_stream_is_handed_on_it_ends_as_if_nothing_had_happened(
    relay: Relay, case: Case
) -> None:
    assert relay.carried(case) == relay.undisturbed(case)


def test_who_is_not_the_owner_any_more_stores_nothing(relay: Relay) -> None:
    case = Case(b"one\n", (), PIECE, LIMIT, ())
    ticket = Printing(case.text, so_far=4)
    woken = relay._take_over(case, ticket)
    relay._take_over(case, ticket)
    with pytest.raises(Relinquished):
        woken.save()
    assert relay.carried(case) == "one\n"
