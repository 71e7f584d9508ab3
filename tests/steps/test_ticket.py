"""The files of a ticket, as they are read and written on either side."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deployengine.steps.contract import Lock
from deployengine.steps.ticket import Begun, Leader, interpreter, parse_outputs, parse_state

STATE = (
    b"ticket t\nfence 7\nholds 2.5 exclusive:a%2Fb shared:\nboot b-1\n"
    b"stat 12 (a ) b (sh) R 1 12 12 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 345 6\nend\n"
)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo hi", ("/bin/sh",)),
        ("", ("/bin/sh",)),
        ("#!", ("/bin/sh",)),
        ("#!/bin/bash\necho", ("/bin/bash",)),
        ("#! /bin/bash -eu \r\necho", ("/bin/bash", "-eu")),
        ("#!/usr/bin/env -S python3 -I\n", ("/usr/bin/env", "-S python3 -I")),
        ("# no\n#!/bin/bash\n", ("/bin/sh",)),
    ],
)
def test_a_hash_bang_line_is_cut_as_the_kernel_cuts_it(script: str, words: tuple[str, ...]) -> None:
    assert interpreter(script) == words


def test_a_record_tells_the_leader_even_of_a_program_with_an_odd_name() -> None:
    assert parse_state(STATE) == Begun(
        "t",
        7,
        Leader(12, 345, "b-1"),
        (Lock("a/b", exclusive=True), Lock("", exclusive=False)),
        timedelta(seconds=2.5),
    )


@pytest.mark.parametrize("length", range(len(STATE)))
def test_a_record_cut_short_is_none(length: int) -> None:
    assert parse_state(STATE[:length]) is None


def test_an_output_cut_short_by_a_full_disk_is_left_out() -> None:
    whole = b"a\x001\x00b\x002\x00"
    assert parse_outputs(whole) == {"a": "1", "b": "2"}
    for length in range(4, len(whole)):
        assert parse_outputs(whole[:length]) == {"a": "1"}
