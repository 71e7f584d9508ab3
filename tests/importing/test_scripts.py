"""Scripts that are carried over run here, in real shells; placeholders fail and say why."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import deployengine.steps
from deployengine.domain.insertion import find_unquotable, insert_script
from deployengine.importing.report import Uncarried
from deployengine.importing.scripts import placeholder, script
from deployengine.steps.ticket import encode, render_variables

TOOLS = Path(deployengine.steps.__file__).parent / "tools"

Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script as a ticket would, with one variable and a place for outputs."""
    (tmp_path / "variables").write_bytes(
        encode(render_variables({"Port": "80 # \"quoted\" 'twice'"}))
    )

    def run(text: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "script"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o700)
        python = Path(sys.executable).parent
        environment = {
            "PATH": f"{TOOLS}:{python}:{os.environ['PATH']}",
            "DEPLOYENGINE_TICKET_FOLDER": str(tmp_path),
        }
        return subprocess.run([file], env=environment, capture_output=True, text=True, check=False)

    return run


def outputs(tmp_path: Path) -> Mapping[str, str]:
    """What the script has put out."""
    words = (tmp_path / "outputs").read_text(encoding="utf-8").split("\0")
    return dict(zip(words[::2], words[1::2], strict=False))


def test_a_bash_script_finds_what_octopus_gives_it(run: Run, tmp_path: Path) -> None:
    made = script(
        '#!/bin/sh\nport=$(get_octopusvariable "Port")\n'
        'set_octopusvariable "Seen" "$port, two\nlines"\nwrite_highlight "at" "$port"\n',
        "Bash",
    )

    ended = run(made.text)

    assert (ended.returncode, ended.stdout) == (0, "at 80 # \"quoted\" 'twice'\n")
    assert outputs(tmp_path) == {"Seen": "80 # \"quoted\" 'twice', two\nlines"}
    assert made.told == []


def test_lines_that_end_as_in_windows_run(run: Run) -> None:
    assert run(script("echo one\r\nif true; then\r\necho two\r\nfi\r\n", "bash").text).stdout == (
        "one\ntwo\n"
    )


def test_a_bash_script_can_fail_its_step(run: Run) -> None:
    ended = run(script('fail_step "no disk"\necho never\n', "Bash").text)

    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "no disk\n")


@pytest.mark.parametrize("name", ["new_octopusartifact", "update_progress", "new_octopustarget"])
def test_a_function_that_there_is_nothing_for_ends_the_script(run: Run, name: str) -> None:
    made = script(f"{name} a b\necho never\n", "Bash")

    ended = run(made.text)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == f"not carried over from Octopus: {name}\n"
    assert made.told == [f"it calls {name}, which does not exist here"]


def test_a_sensitive_output_is_not_stored_in_clear(run: Run, tmp_path: Path) -> None:
    ended = run(script('set_octopusvariable "Key" "canary" -sensitive\necho never\n', "Bash").text)

    assert ended.returncode == 1
    assert "a sensitive output" in ended.stderr
    assert not (tmp_path / "outputs").exists()


def test_a_python_script_finds_what_octopus_gives_it(run: Run, tmp_path: Path) -> None:
    made = script(
        'set_octopusvariable("Seen", get_octopusvariable("Port"))\nfailstep("enough")\n', "Python"
    )

    ended = run(made.text)

    assert (ended.returncode, ended.stderr) == (1, "enough\n")
    assert outputs(tmp_path) == {"Seen": "80 # \"quoted\" 'twice'"}
    assert made.told == ["it is a Python script and needs python3 on its machines"]


def test_a_powershell_script_stops_at_its_first_error_as_in_octopus() -> None:
    made = script("Set-OctopusVariable -name A -value $OctopusParameters['B']", "")

    assert made.text == (
        "#!/usr/bin/env pwsh\n$ErrorActionPreference = 'Stop'\n"
        "Set-OctopusVariable -name A -value $OctopusParameters['B']\n"
    )
    assert made.told == [
        "it is a PowerShell script and needs pwsh on its machines",
        "it uses Set-OctopusVariable, $OctopusParameters, which does not exist here",
    ]


def test_a_value_is_inserted_as_code_only_where_it_cannot_be_quoted() -> None:
    made = script('a=$((#{Count} + 1))\necho "#{Name}" $((#{Count}))\n', "Bash")

    assert made.text.endswith('a=$((#{Count | raw} + 1))\necho "#{Name}" $((#{Count | raw}))\n')
    assert made.told == ["Count is inserted unquoted, as code"]


def test_in_a_language_that_is_no_shell_values_are_inserted_as_octopus_does() -> None:
    assert 'print("#{Name | raw}", #{Count | ToUpper | raw})' in (
        script('print("#{Name}", #{Count | ToUpper})', "Python").text
    )


@pytest.mark.parametrize("syntax", ["CSharp", "FSharp"])
def test_a_language_that_is_not_known_is_refused(syntax: str) -> None:
    with pytest.raises(Uncarried, match=f"a script in {syntax}"):
        script("let a = 1", syntax)


@pytest.mark.parametrize("body", ["echo #{A | NoSuchFilter}", "echo #{A"])
def test_a_reference_that_cannot_be_read_is_refused(body: str) -> None:
    with pytest.raises(Uncarried, match=r"a script in which #\{A"):
        script(body, "Bash")


def test_a_placeholder_fails_and_says_why_and_keeps_what_stood_there(run: Run) -> None:
    text = placeholder("Bob's $(touch x) #{Step}", "echo '#{A | NoSuchFilter}'\r\n\r\nexit 0\r\n")

    ended = run(insert_script(text, {}).text)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "not carried over from Octopus: Bob's $(touch x) #{Step}\n"
    assert find_unquotable(text) == ()
    assert "#   echo '##{A | NoSuchFilter}'\n#\n#   exit 0\n" in text
