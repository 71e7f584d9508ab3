"""``get_variable`` and ``set_output`` inside a script."""

from __future__ import annotations

import tempfile
from pathlib import Path
from shlex import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployengine.steps.contract import State, Status, Work
from deployengine.steps.local import LocalRunner
from tests.steps.conftest import OTHER_SHELLS, begin, end

NASTY = "'\"\\$`!*?[]{}()<>|&;#~%=\n\r\t -éЁ\u0081\u0088\ud7ff\U0001f680aZ0"
TEXTS = st.text(st.sampled_from(NASTY) | st.characters(exclude_characters="\0", codec="utf-8"))
NAMES = TEXTS.map(str.strip).filter(bool)


def runner_in(workdir: str) -> LocalRunner:
    return LocalRunner(workdir, f"{workdir}/tickets")


def outcome(script: str, variables: dict[str, str] | None = None) -> tuple[int | None, str]:
    with tempfile.TemporaryDirectory() as workdir:
        ticket = begin(runner_in(workdir), Work("run", 1, script, {}, variables or {}))
        return end(ticket).exit_code, ticket.output(0).decode()


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(NAMES, TEXTS, max_size=8).filter(
        lambda d: len({n.lower() for n in d}) == len(d)
    )
)
@pytest.mark.parametrize("shell", ["sh", *(" ".join(words) for words in OTHER_SHELLS)])
def test_any_value_goes_in_and_out_unchanged_in_any_shell(
    shell: str, variables: dict[str, str]
) -> None:
    # The tools stand first on the PATH; here each shell in turn reads them.
    lines = ["#!/bin/sh"]
    for tool in ("get_variable", "set_output"):
        lines.append(f'{tool}() {{ {shell} "${{PATH%%:*}}/{tool}" "$@"; }}')
    for number, name in enumerate(variables):
        lines.append(f"get_variable {quote(name)} > {number} || exit 1")
        # The dot keeps the newlines at the end, which the shell takes from $( ).
        lines.append(f"value=$(get_variable {quote(name)}; echo .)")
        lines.append(f'set_output {quote(name)} "${{value%?}}" || exit 1')
    with tempfile.TemporaryDirectory() as workdir:
        ticket = begin(
            runner_in(workdir),
            Work("run", 1, "\n".join([*lines, ""]), {}, variables),
        )
        assert end(ticket) == Status(State.EXITED, 0), ticket.output(0)
        got = {n: (Path(workdir) / str(i)).read_bytes().decode() for i, n in enumerate(variables)}
        assert got == variables
        assert ticket.outputs() == variables


def test_a_value_can_come_in_by_stdin_which_no_process_list_shows() -> None:
    script = """
    get_variable Key | set_output --stdin Key
    printf '' | set_output --stdin Empty
    awk 'BEGIN { for (i = 0; i < 50000; i++) printf "x" }' | set_output --stdin Long
    """
    with tempfile.TemporaryDirectory() as workdir:
        ticket = begin(runner_in(workdir), Work("run", 1, script, {}, {"Key": "a\n'b'\n\n"}))
        assert end(ticket) == Status(State.EXITED, 0), ticket.output(0)
        assert ticket.outputs() == {"Key": "a\n'b'\n\n", "Empty": "", "Long": "x" * 50000}


def test_capitals_and_blanks_around_a_name_do_not_count() -> None:
    code, said = outcome("get_variable ' octopus.project.NAME '", {"Octopus.Project.Name": "shop"})
    assert (code, said) == (0, "shop")


def test_a_variable_that_is_not_there_fails_and_is_named() -> None:
    code, said = outcome("x=$(get_variable Tokn) || exit 6", {"Token": "t"})
    assert code == 6
    assert '"Tokn"' in said


def test_wrong_usage_says_what_is_right() -> None:
    code, said = outcome("get_variable; set_output a")
    assert code == 2
    assert "get_variable NAME" in said
    assert "set_output NAME VALUE" in said


def test_of_several_outputs_with_one_name_the_last_counts() -> None:
    with tempfile.TemporaryDirectory() as workdir:
        ticket = begin(
            runner_in(workdir),
            Work("run", 1, "set_output a 1; set_output a 2"),
        )
        end(ticket)
        assert ticket.outputs() == {"a": "2"}


def test_long_outputs_stored_at_once_do_not_mix() -> None:
    script = """
    value=$(printf '%050000d' 0)
    for n in 1 2 3 4 5 6 7 8; do set_output "n$n" "$n$value" & done
    wait
    """
    with tempfile.TemporaryDirectory() as workdir:
        ticket = begin(runner_in(workdir), Work("run", 1, script))
        end(ticket)
        assert ticket.outputs() == {f"n{n}": f"{n}{'0' * 50000}" for n in range(1, 9)}
