"""Failpoints: every door has its points, every point has its door; off, nothing happens there."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from deployengine import failpoints
from deployengine.failpoints import BRANCHES, DOORS, MUTATIONS, POINTS, WRAPPER_DOORS
from deployengine.locks.scripts import Operation, Scripts
from tests.support.engine import until

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for room in ("deployengine", "workers")
    for path in (ROOT / room).rglob("*.py")
    if path.name != "failpoints.py"
)
WRAPPER = ROOT / "deployengine" / "steps" / "wrapper.sh"

#: A process that passes the points it is given, one after the other, and says that it lived.
PASSER = """
import sys
from deployengine import failpoints
from deployengine.domain.errors import Unreachable
for name in sys.argv[1:]:
    try:
        failpoints.hit(name)
        print(name, flush=True)
    except Unreachable as error:
        print("failed:", error, flush=True)
"""


def environment(**asked: str) -> dict[str, str]:
    """Where points are asked for by ``FAILPOINTS``, their trace and mutations."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DEPLOYENGINE_")}
    return inherited | {f"DEPLOYENGINE_{name}": value for name, value in asked.items()}


def pass_by(*names: str, **asked: str) -> subprocess.CompletedProcess[str]:
    """A process that passes these points."""
    return subprocess.run(
        [sys.executable, "-c", PASSER, *names],
        env=environment(**asked),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# ---- what a point does ----


def test_off_a_point_is_a_function_that_does_nothing() -> None:
    assert failpoints.hit is failpoints._nothing
    assert not any(failpoints.left_out(name) for name in MUTATIONS)
    assert failpoints.handed_on() == ""


def test_a_process_is_killed_where_it_was_asked_for() -> None:
    done = pass_by(
        *("sql.claim.before", "sql.claim.after", "sql.end.before"),
        FAILPOINTS="sql.claim.after=kill",
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == "sql.claim.before\n"


def test_a_door_fails_as_if_the_other_side_could_not_be_reached() -> None:
    done = pass_by("publish.runs.before", "sql.end.after", FAILPOINTS="publish.runs.before=fail")
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("failed: cannot reach the other side at publish.runs.before")
    assert second == "sql.end.after"


def test_a_process_is_stopped_and_may_go_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PASSER, "sql.end.before"],
        env=environment(FAILPOINTS="sql.end.before=stop"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            stat = Path(f"/proc/{process.pid}/stat")
            until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "it is stopped")
            process.send_signal(signal.SIGCONT)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert said == "sql.end.before\n"


def test_a_trap_springs_at_its_passing_and_only_then() -> None:
    done = pass_by(*["lua.submit.before"] * 4, FAILPOINTS="lua.submit.before=fail@3")
    assert [line.startswith("failed") for line in done.stdout.splitlines()] == [
        *(False, False, True, False)
    ]


def test_several_are_asked_for_with_commas() -> None:
    done = pass_by(
        *("sql.end.before", "sql.end.after", "sql.beat.before"),
        FAILPOINTS="sql.end.before=fail,sql.beat.before=kill",
    )
    assert done.returncode == -signal.SIGKILL
    assert [line.startswith("failed") for line in done.stdout.splitlines()] == [True, False]


def test_any_counts_the_passings_of_all_points_together_and_no_branch() -> None:
    done = pass_by(
        *("sql.end.before", "branch.lost", "sql.end.after", "lua.hold.before"),
        FAILPOINTS="any=kill@3",
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.splitlines() == ["sql.end.before", "branch.lost", "sql.end.after"]


def test_the_trace_holds_what_was_passed_and_what_sprang_also_when_it_killed(
    tmp_path: Path,
) -> None:
    trace = tmp_path / "trace"
    pass_by(
        *("sql.end.before", "branch.lost", "sql.end.after"),
        FAILPOINTS="sql.end.after=kill",
        FAILPOINTS_TRACE=str(trace),
    )
    assert trace.read_text().splitlines() == [
        *("sql.end.before", "branch.lost", "sql.end.after", "kill sql.end.after")
    ]
    pass_by("sql.claim.before", FAILPOINTS_TRACE=str(trace))
    assert trace.read_text().splitlines()[-1] == "sql.claim.before", "a trace alone is enough"


def test_a_point_that_nobody_declared_is_a_fault_of_the_program(tmp_path: Path) -> None:
    done = pass_by("sql.nothing.before", FAILPOINTS_TRACE=str(tmp_path / "trace"))
    assert done.returncode == 1
    assert "failpoint sql.nothing.before is not declared" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        *("sql.nothing.before=kill", "sql.end=kill", "branch.lost=kill", "sql.end.before"),
        *("sql.end.before=explode", "sql.end.before=kill@x", "=kill"),
        "sql.end.before=kill@-1",
    ],
)
def test_what_cannot_be_read_is_told_before_anything_is_done(text: str) -> None:
    done = pass_by("sql.end.before", FAILPOINTS=text)
    assert done.returncode == 1
    assert f"DEPLOYENGINE_FAILPOINTS: {text!r} is no NAME=kill|stop|fail[@N]" in done.stderr
    assert done.stdout == ""


def test_an_unknown_protection_cannot_be_left_out() -> None:
    done = pass_by("sql.end.before", MUTATIONS="self-fence,gravity")
    assert done.returncode == 1
    assert "DEPLOYENGINE_MUTATIONS: there is no protection gravity" in done.stderr


def test_only_the_protections_that_are_named_are_left_out() -> None:
    code = f"""
from deployengine import failpoints
print(*[name for name in {sorted(MUTATIONS)} if failpoints.left_out(name)])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(MUTATIONS="self-fence,tidy"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "self-fence tidy\n"


# ---- where they are ----


def calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    """Every call of a function or method of this name in the program."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func
                if getattr(called, "attr", getattr(called, "id", None)) == name:
                    yield path, node


def text_of(node: ast.expr) -> str:
    """A text as it stands in the source; ``*`` where a value is put in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "*"


def written() -> dict[str, Path]:
    """The names of the engine's transactions."""
    return {
        text_of(call.args[0]) if call.args else "": path
        for path, call in calls("write")
        if isinstance(call.func, ast.Attribute)
        and getattr(call.func.value, "attr", getattr(call.func.value, "id", "")).endswith(
            "database"
        )
    }


def passed() -> set[str]:
    """Every point and branch that the program passes, with its names put in."""
    names: dict[str, list[str]] = {
        "sql.*": list(written()),
        "publish.*": [text_of(call.args[0]) for _, call in calls("_publishing")],
        "lua.*": list(get_args(Operation)),
        "lua.rebuild-*": list(get_args(get_type_hints(Scripts.rebuild)["operation"])),
    }
    found: set[str] = set()
    for _, call in calls("hit"):
        name = text_of(call.args[0])
        stem, star, side = name.partition("*")
        found |= {f"{stem}{n}{side}" for n in names[stem + star]} if star else {name}
    passes = re.compile(r"de_pass (ticket\.\S+)$", re.MULTILINE)
    return found | set(passes.findall(WRAPPER.read_text("utf-8")))


def test_every_transaction_that_writes_has_a_name_that_is_a_door() -> None:
    found = written()
    assert len(found) > 10, "the scan has found too little to be right"
    assert {f"sql.{name}": path for name, path in found.items() if f"sql.{name}" not in DOORS} == {}


def test_every_door_has_its_points_in_the_program_and_no_point_lacks_its_door() -> None:
    assert passed() == {*POINTS, *BRANCHES}


def test_every_protection_that_may_be_left_out_is_declared_and_there() -> None:
    asked = {text_of(call.args[0]) for _, call in calls("left_out")} - {"*"}
    in_wrapper = set(re.findall(r"\*without:([a-z-]+)\*", WRAPPER.read_text("utf-8")))
    assert asked | in_wrapper == set(MUTATIONS)


def test_a_wrapper_passes_the_doors_that_are_its_own() -> None:
    text = WRAPPER.read_text("utf-8")
    doors = {name.rpartition(".")[0] for name in re.findall(r"de_pass (ticket\.\S+)$", text, re.M)}
    assert doors == set(WRAPPER_DOORS)
