"""The lock rule, sentence by sentence."""

from __future__ import annotations

import pytest

from deployengine.domain.admission import Admission, Blocker, Claim, Mode, Request


def alone(*resources: str) -> tuple[Claim, ...]:
    return tuple(Claim(each, Mode.EXCLUSIVE) for each in resources)


def together(*resources: str, limit: int | None = None) -> tuple[Claim, ...]:
    return tuple(Claim(each, Mode.SHARED, limit) for each in resources)


def request(ticket: int, claims: tuple[Claim, ...]) -> Request:
    return Request(f"r{ticket}", ticket, claims)


def test_five_projects_of_which_the_third_does_not_bypass_run_as_octopus_documents() -> None:
    admission = Admission()
    modes = [together, together, alone, together, together]

    started = admission.submit(*(request(n, mode("web-1")) for n, mode in enumerate(modes, 1)))

    assert started == ("r1", "r2")
    assert admission.release("r2") == ()
    assert admission.release("r1") == ("r3",)
    assert admission.release("r3") == ("r4", "r5")


def test_exclusive_requests_go_one_after_the_other_in_ticket_order() -> None:
    admission = Admission()
    admission.submit(request(1, alone("web-1")))
    for late in (4, 2, 3):
        assert admission.submit(request(late, alone("web-1"))) == ()

    assert admission.waiters("web-1") == ("r2", "r3", "r4")
    assert admission.release("r1") == ("r2",)
    assert admission.release("r2") == ("r3",)


def test_an_earlier_ticket_that_arrives_late_goes_before_later_ones_that_wait() -> None:
    admission = Admission()
    admission.submit(request(1, together("web-1")), request(6, alone("web-1")))

    assert admission.submit(request(5, together("web-1"))) == ("r5",)
    assert admission.release("r1", "r5") == ("r6",)


def test_a_shared_request_does_not_pass_an_exclusive_one_that_came_first() -> None:
    admission = Admission()
    admission.submit(request(1, together("web-1")), request(2, alone("web-1")))

    assert admission.submit(request(3, together("web-1"))) == ()
    assert admission.release("r1") == ("r2",)


def test_a_cancelled_waiter_lets_in_those_it_kept_back() -> None:
    admission = Admission()
    queue = [together("web-1"), alone("web-1"), together("web-1"), alone("web-1")]
    admission.submit(*(request(n, claims) for n, claims in enumerate(queue, 1)))

    assert admission.release("r2") == ("r3",)
    assert admission.waiters("web-1") == ("r4",)


def test_a_limit_admits_so_many_at_once_and_the_next_place_goes_to_the_earliest() -> None:
    admission = Admission()
    crowd = [request(n, together("web-1", limit=2)) for n in range(1, 6)]

    assert admission.submit(*crowd) == ("r1", "r2")
    assert admission.release("r2") == ("r3",)
    assert admission.release("r1", "r3") == ("r4", "r5")


def test_a_set_is_granted_as_a_whole_and_keeps_its_place_in_every_line_meanwhile() -> None:
    admission = Admission()
    admission.submit(request(1, alone("iis")), request(2, alone("iis") + together("web-1")))

    assert admission.holders("web-1") == ()
    assert admission.submit(request(3, alone("web-1"))) == ()
    assert admission.submit(request(4, alone("db"))) == ("r4",)
    assert admission.release("r1") == ("r2",)


def test_the_last_free_place_goes_to_the_earlier_ticket_whatever_the_departure_freed() -> None:
    admission = Admission()
    admission.submit(request(1, alone("iis") + together("web-1", limit=1)))
    admission.submit(request(3, together("web-1", limit=1)))
    admission.submit(request(2, alone("iis") + together("web-1", limit=1)))

    assert admission.release("r1") == ("r2",)


def test_a_doubled_submit_changes_nothing_and_tells_again_who_holds() -> None:
    admission = Admission()
    first, second = request(1, alone("web-1")), request(2, alone("web-1"))
    admission.submit(first, second)

    assert admission.submit(first) == ("r1",)
    assert admission.submit(second) == ()
    assert admission.holders("web-1") == ("r1",)
    assert admission.waiters("web-1") == ("r2",)


def test_a_doubled_or_unknown_release_does_nothing() -> None:
    admission = Admission()
    admission.submit(*(request(n, alone("web-1")) for n in (1, 2, 3)))

    assert admission.release("r1", "r1") == ("r2",)
    assert admission.release("r1") == ()
    assert admission.release("nobody") == ()
    assert admission.holders("web-1") == ("r2",)


def test_a_waiter_is_told_who_is_in_its_way_on_each_resource() -> None:
    admission = Admission()
    admission.submit(
        request(1, together("web-1", limit=1)),
        request(2, alone("iis")),
        request(3, alone("iis")),
        request(4, alone("iis") + together("web-1", limit=1) + alone("db")),
    )

    assert admission.blockers("r4") == (
        Blocker("iis", Mode.EXCLUSIVE, holders=("r2",), earlier=("r3",), limit_reached=False),
        Blocker("web-1", Mode.SHARED, holders=("r1",), earlier=(), limit_reached=True),
    )
    assert admission.blockers("r1") == ()
    assert admission.blockers("nobody") == ()


def test_a_state_is_taken_over_as_it_is_without_asking_the_rule() -> None:
    admission = Admission()
    admission.submit(*(request(n, alone("web-1")) for n in (1, 2, 3)))

    copy = Admission(admission.holding, admission.waiting)

    assert copy.release("r1") == ("r2",)
    assert admission.holders("web-1") == ("r1",)


@pytest.mark.parametrize(
    ("faulty", "complaint"),
    [
        (lambda: Request("r", 1, ()), "claims nothing"),
        (lambda: Request("r", 1, alone("m") + together("m")), "claims a resource twice"),
        (lambda: Request("r", 1, together("a", "b", limit=2)), "more than one claim with a limit"),
        (lambda: Request("", 1, alone("m")), "is empty or contains a NUL"),
        (lambda: Request("a\0b", 1, alone("m")), "is empty or contains a NUL"),
        (lambda: Request("r", -1, alone("m")), "ticket -1 is not within"),
        (lambda: Request("r", 10**15 + 1, alone("m")), "is not within"),
        (lambda: Claim("", Mode.SHARED), "is empty or contains a NUL"),
        (lambda: Claim("m\0", Mode.SHARED), "is empty or contains a NUL"),
        (lambda: Claim("m", Mode.SHARED, 0), "must be 1 or more"),
        (lambda: Claim("m", Mode.EXCLUSIVE, 2), "cannot have a limit"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(faulty: object, complaint: str) -> None:
    assert callable(faulty)
    with pytest.raises(ValueError, match=complaint):
        faulty()
