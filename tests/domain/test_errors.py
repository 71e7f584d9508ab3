"""Errors: what, where and what to do; whole after a journey between processes."""

from __future__ import annotations

import pickle

import pytest

from deployengine.domain.errors import (
    AlreadyExists,
    DeployEngineError,
    Fault,
    GaveUpWaiting,
    InvalidInput,
    RequestError,
    UnknownName,
    Unreachable,
    nearest,
)
from deployengine.domain.flags import UnparsableFlag
from deployengine.domain.identity import BadId
from deployengine.domain.reference_errors import (
    BadReference,
    FilterFailed,
    NulInValue,
    TooMuch,
    UnknownVariable,
    Unquotable,
    VariableCycle,
)
from deployengine.domain.release import BadVersion
from deployengine.engine.deployments import NotReached
from deployengine.engine.intake import NoMachines
from deployengine.persistence.migrate import OutOfDate
from deployengine.sealing import WrongMasterKey
from deployengine.steps.errors import CannotStart, DiskFull, StillRunning

EVERY = [
    RequestError("wrong", "here", "do that"),
    UnknownName("project", "aap", ["app", "shop"]),
    AlreadyExists("it is there", None, "choose another"),
    InvalidInput([Fault("wrong", "f.yaml", 3, "a.b"), Fault("too")]),
    Unreachable("Redis", "redis://x", "start it"),
    GaveUpWaiting("batch nightly", 3.0),
    UnparsableFlag("Flag", '"x"', "project app"),
    BadId("'x' is no id", None, "ids look like rel-3"),
    BadVersion("'' is no release number"),
    BadReference("#{x has no end", "line 1", "write #{/if}"),
    FilterFailed("the filter Trim of #{x} cannot be applied", "variable A"),
    TooMuch("too much"),
    UnknownVariable("Hots", ["Host"], "variable Url"),
    VariableCycle(("A", "B", "A")),
    Unquotable("A | Trim", 3, "it stands there"),
    NulInValue("A"),
    NotReached("may not enter", None, "QA comes first"),
    NoMachines("none", None, "give one"),
    WrongMasterKey("wrong key"),
    OutOfDate("old"),
    DiskFull("full"),
    CannotStart("no"),
    StillRunning("alive"),
]


@pytest.mark.parametrize("error", EVERY, ids=lambda e: type(e).__name__)
def test_an_error_says_the_same_after_a_journey(error: DeployEngineError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert back.exit_code == error.exit_code
    assert vars(back) == vars(error)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeployEngineError("x"), 1),
        (DiskFull("x"), 1),
        (RequestError("x"), 2),
        (UnknownName("project", "x"), 2),
        (AlreadyExists("x"), 2),
        (InvalidInput([]), 2),
        (BadId("x"), 2),
        (Unreachable("x", "y"), 3),
        (OutOfDate("x"), 3),
        (GaveUpWaiting("x"), 4),
    ],
    ids=lambda each: type(each).__name__,
)
def test_the_exit_code_of_each_kind_is_a_promise(error: DeployEngineError, code: int) -> None:
    assert error.exit_code == code


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RequestError("what"), "what"),
        (RequestError("what", "where"), "where: what"),
        (RequestError("what", "where", "do that"), "where: what; do that"),
        (
            UnknownName("machine", "qa1", ["qa-1"]),
            "there is no machine 'qa1'; did you mean 'qa-1'?",
        ),
        (
            UnknownName("machine", "zzz", ["qa-1", "b"]),
            "there is no machine 'zzz'; there are: qa-1, b",
        ),
        (UnknownName("machine", "zzz"), "there is no machine 'zzz'"),
        (Unreachable("Redis", "x", "y"), "cannot reach Redis at x; y"),
        (Unreachable("Redis", "x"), "cannot reach Redis at x"),
        (GaveUpWaiting("it", 0.5), "gave up waiting for it after 0.5 s"),
        (GaveUpWaiting("it"), "gave up waiting for it"),
        (InvalidInput([Fault("one", "f", 2), Fault("two")]), "f:2: one\ntwo"),
    ],
)
def test_an_error_reads_as_what_where_and_what_to_do(error: Exception, said: str) -> None:
    assert str(error) == said


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("m"), "m"),
        (Fault("m", "f"), "f: m"),
        (Fault("m", "f", 3), "f:3: m"),
        (Fault("m", None, 3), "line 3: m"),
        (Fault("m", "f", 3, "a[0].b"), "f:3: a[0].b: m"),
        (Fault("m", None, None, "a"), "a: m"),
    ],
)
def test_a_fault_leaves_out_what_it_does_not_know(fault: Fault, said: str) -> None:
    assert str(fault) == said


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("staging", ["Staging", "QA"], "Staging"),
        ("Stagin", ["Staging", "QA"], "Staging"),
        ("production", ["Staging", "QA"], None),
        ("", ["Staging"], None),
        ("x", [], None),
        ("app-01", ["app-001", "app-002"], "app-001"),
    ],
)
def test_the_nearest_name_is_one_that_is_like_it_in_any_case(
    name: str, known: list[str], found: str | None
) -> None:
    assert nearest(name, known) == found


def test_a_suggestion_does_not_hang_on_the_order_of_what_is_known() -> None:
    known = ["app-1", "app-2", "app-3"]
    assert nearest("app-4", known) == nearest("app-4", reversed(known))
