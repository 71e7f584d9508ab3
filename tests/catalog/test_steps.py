"""What each kind of step may have, must have, and cannot have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.catalog.conftest import SMALL, Faults, Read

#: The small catalog up to its one step; what follows begins on line 24.
HEAD = SMALL[: SMALL.index("      - name: Install")]

SCRIPT = "{name: Install, script: ls}"
MANUAL = "{name: Approve, kind: manual, instructions: Look}"


def process(*steps: str) -> str:
    """The small catalog with these steps, the first on line 24, each on a line of its own."""
    return HEAD + "".join(f"      - {step}\n" for step in steps)


def script(more: str) -> str:
    return process(f"{{name: Install, script: ls, {more}}}")


def manual(more: str) -> str:
    return process(f"{{name: Approve, kind: manual, instructions: Look, {more}}}")


def rolling(more: str, child: str = "name: Swap, script: ls") -> str:
    return process(f"{{name: Roll, kind: rolling, steps: [{{{child}}}], {more}}}")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (process(SCRIPT), {"name": "Install", "script": "ls"}),
        (process(r'{name: Install, script: "ls\r\npwd\r\n"}'),
         {"name": "Install", "script": "ls\npwd\n"}),
        (script("kind: script, roles: [], condition: success, start: after_previous, retries: 0, "
                "required: false, idempotent: no, on_unknown: fail, on_stale: wait, touches: []")
         .replace("no,", "false,"), {"name": "Install", "script": "ls"}),
        (script("roles: [web], environments: [QA], exclude_environments: [Production], "
                "channels: [hotfix], condition: always, required: true, max_parallel: 3, "
                "retries: 2, backoff: 10s, timeout: 15m, touches: [iis]"),
         {"name": "Install", "script": "ls", "roles": ["web"], "environments": ["QA"],
          "exclude_environments": ["Production"], "channels": ["hotfix"], "condition": "always",
          "required": True, "max_parallel": 3, "retries": 2, "backoff_seconds": 10.0,
          "timeout_seconds": 900.0, "touches": [{"resource": "iis"}]}),
        (script("condition: ' #{if Migrate}True#{/if} '"),
         {"name": "Install", "script": "ls", "condition": "#{if Migrate}True#{/if}"}),
        (manual("responsible: [alice, 7], keep_tag: true, condition: failure, "
                "environments: [Production], channels: [hotfix], required: true"),
         {"name": "Approve", "kind": "manual", "instructions": "Look",
          "responsible": ["alice", "7"], "keep_tag": True, "condition": "failure",
          "environments": ["Production"], "channels": ["hotfix"], "required": True}),
        (rolling("roles: [web], max_parallel: 2, on_failure: exclude, condition: always, "
                 "environments: [QA], channels: [hotfix], required: true",
                 "name: Swap, kind: script, script: ls, timeout: 1m, retries: 1, backoff: 1m, "
                 "condition: failure, touches: [iis], idempotent: true, on_unknown: rerun"),
         {"name": "Roll", "kind": "rolling", "roles": ["web"], "max_parallel": 2,
          "on_failure": "exclude", "condition": "always", "environments": ["QA"],
          "channels": ["hotfix"], "required": True,
          "steps": [{"name": "Swap", "script": "ls", "timeout_seconds": 60.0, "retries": 1,
                     "backoff_seconds": 60.0, "condition": "failure",
                     "touches": [{"resource": "iis"}], "idempotent": True,
                     "on_unknown": "rerun"}]}),
        (rolling("ramp: [1, ' 10% '], on_failure: exclude, max_failures: 3, before: drain it, "
                 "after: {script: up, runs_on: qa-1, timeout: 1m, always: true}"),
         {"name": "Roll", "kind": "rolling", "ramp": [1, "10%"], "on_failure": "exclude",
          "max_failures": 3, "before": {"script": "drain it"},
          "after": {"script": "up", "runs_on": "qa-1", "timeout_seconds": 60.0, "always": True},
          "steps": [{"name": "Swap", "script": "ls"}]}),
        (rolling("before: {script: x, retries: 0}, after: {script: y, always: false}",
                 "name: Swap, script: ls, runs_on: '#{Octopus.Machine.Name}'"),
         {"name": "Roll", "kind": "rolling", "before": {"script": "x"}, "after": {"script": "y"},
          "steps": [{"name": "Swap", "script": "ls", "runs_on": "#{Octopus.Machine.Name}"}]}),
    ],
)  # fmt: skip
def test_a_step_is_stored_with_what_is_not_as_it_is_anyway(
    read: Read, text: str, stored: dict[str, Any]
) -> None:
    for project in read(text).of("project"):
        assert project.document["process"] == [stored]


def test_a_step_that_starts_with_the_one_before_it_says_so_in_its_document(read: Read) -> None:
    text = process(SCRIPT, "{name: Warm, script: ls, start: with_previous}")
    second = read(text).of("project")[0].document["process"][1]
    assert second == {"name": "Warm", "script": "ls", "start": "with_previous"}


STEP = "projects[0].process[0]"


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (process("{name: A, kind: manuel, instructions: x}"), f"{STEP}.kind",
         "must be 'script', 'package', 'http', 'systemd', 'docker-compose', 'ansible', 'manual' or "
         "'rolling'; did you mean 'manual'?"),
        (process("{name: A}"), STEP, "'script' is missing, which a script step needs"),
        (process("{name: A, kind: manual}"), STEP,
         "'instructions' is missing, which a manual step needs"),
        (process("{name: A, kind: rolling}"), STEP,
         "'steps' is missing, which a rolling group needs"),
        (process("{name: A, kind: manual, instructions: ''}"), f"{STEP}.instructions",
         "must not be empty"),
        (process("{name: A, kind: manual, instructions: [x]}"), f"{STEP}.instructions",
         "must be a text"),
        (process("{name: A, kind: manual, instrutcions: x}"), f"{STEP}.instrutcions",
         "unknown key 'instrutcions'; did you mean 'instructions'?"),
        (process("{name: A, kind: rolling, steps: []}"), f"{STEP}.steps", "must not be empty"),
        (process("{name: A, kind: rolling, steps: [x]}"), f"{STEP}.steps[0]",
         "must be a mapping, with a key and a value on each line"),
        (rolling("", "name: Swap"), f"{STEP}.steps[0]",
         "'script' is missing, which a script step needs"),
        (rolling("", "name: S, kind: rolling, script: ls"), f"{STEP}.steps[0].kind",
         "a rolling group holds no manual step and no other group"),
        (rolling("", "name: S, kind: manual, script: ls"), f"{STEP}.steps[0].kind",
         "a rolling group holds no manual step and no other group"),
        (rolling("", "name: Swap, script: ls, roles: [web]"), f"{STEP}.steps[0].roles",
         "'roles' cannot stand here; it belongs to the rolling group"),
        (rolling("", "name: Swap, script: ls, max_parallel: 1"), f"{STEP}.steps[0].max_parallel",
         "'max_parallel' cannot stand here; it belongs to the rolling group"),
        (rolling("", "name: Swap, script: ls, start: with_previous"), f"{STEP}.steps[0].start",
         "'start' cannot stand here; it belongs to the rolling group"),
        (rolling("", "name: Swap, script: ls, retrys: 1"), f"{STEP}.steps[0].retrys",
         "unknown key 'retrys'; did you mean 'retries'?"),
        (rolling("max_parallel: 0"), f"{STEP}.max_parallel", "must be at least 1"),
        (rolling("on_failure: exlude"), f"{STEP}.on_failure",
         "must be 'stop' or 'exclude'; did you mean 'exclude'?"),
        (script("max_parallel: 0"), f"{STEP}.max_parallel", "must be at least 1"),
        (script("max_parallel: many"), f"{STEP}.max_parallel", "must be a whole number"),
        (script("backoff: 10s"), f"{STEP}.backoff",
         "backoff is the pause before a retry; say how many retries there are"),
        (script("backoff: 10s, retries: 0"), f"{STEP}.backoff",
         "backoff is the pause before a retry; say how many retries there are"),
        (script("backoff: 10s, retries: some"), f"{STEP}.retries", "must be a whole number"),
        (script("backoff: soon, retries: 1"), f"{STEP}.backoff",
         "is no span of time: write 90s, 15m, 1h30m or a number of seconds"),
        (rolling("", "name: Swap, script: ls, backoff: 10s"), f"{STEP}.steps[0].backoff",
         "backoff is the pause before a retry; say how many retries there are"),
        (rolling("", "name: Swap, script: ls, on_unknown: rerun"), f"{STEP}.steps[0].on_unknown",
         "on_unknown: rerun runs the script again although nobody knows how far it came; "
         "say idempotent: true if it bears that, or choose fail or ask"),
        (script("start: with_previous"), f"{STEP}.start",
         "the first step has none before it to start with"),
        (script("start: with_previos"), f"{STEP}.start",
         "must be 'after_previous' or 'with_previous'; did you mean 'with_previous'?"),
        (script("condition: allways"), f"{STEP}.condition",
         "must be success, failure, always, or a text with #{…} that is true or false; "
         "did you mean 'always'?"),
        (script("condition: ''"), f"{STEP}.condition",
         "must be success, failure, always, or a text with #{…} that is true or false"),
        (script("condition: '##{Go}'"), f"{STEP}.condition",
         "must be success, failure, always, or a text with #{…} that is true or false"),
        (script("condition: true"), f"{STEP}.condition", "must be a text"),
        (script("condition: '#{Go'"), f"{STEP}.condition",
         "line 1: #{Go is not closed by a brace on its line, or holds another one; "
         "write ##{ where the text shall hold #{ itself"),
        (manual("").replace("Look", "'#{Look'"), f"{STEP}.instructions",
         "line 1: #{Look is not closed by a brace on its line, or holds another one; "
         "write ##{ where the text shall hold #{ itself"),
        (rolling("", "name: Swap, script: 'echo $((#{Octopus.Step.Name}))'"),
         f"{STEP}.steps[0].script",
         "line 1 of the script: the value of Octopus.Step.Name cannot be quoted here: a shell "
         "evaluates what stands in (( )); use \"$(get_variable 'Octopus.Step.Name')\" or the "
         "environment where the script can, or #{Octopus.Step.Name | raw} to insert it as code"),
        (rolling("ramp: []"), f"{STEP}.ramp", "must not be empty"),
        (rolling("ramp: 3"), f"{STEP}.ramp", "must be a list"),
        (rolling("ramp: [1, 0]"), f"{STEP}.ramp[1]",
         'must be a number of machines, or a share of them from "1%" to "100%"'),
        (rolling("ramp: [1, 0%]"), f"{STEP}.ramp[1]",
         'must be a number of machines, or a share of them from "1%" to "100%"'),
        (rolling("ramp: [101%]"), f"{STEP}.ramp[0]",
         'must be a number of machines, or a share of them from "1%" to "100%"'),
        (rolling("ramp: [1.5]"), f"{STEP}.ramp[0]",
         'must be a number of machines, or a share of them from "1%" to "100%"'),
        (rolling("ramp: [true]"), f"{STEP}.ramp[0]",
         'must be a number of machines, or a share of them from "1%" to "100%"'),
        (rolling("max_failures: 2"), f"{STEP}.max_failures",
         "with on_failure: stop the first failure is one too many; say on_failure: exclude for so "
         "many machines to be left out"),
        (rolling("on_failure: exclud, max_failures: 2"), f"{STEP}.on_failure",
         "must be 'stop' or 'exclude'; did you mean 'exclude'?"),
        (rolling("on_failure: exclude, max_failures: many"), f"{STEP}.max_failures",
         'must be a number of machines, or a share of them from "1%" to "100%"'),
        (rolling("before: ''"), f"{STEP}.before", "must not be empty"),
        (rolling("before: [ls]"), f"{STEP}.before",
         "must be a mapping, with a key and a value on each line"),
        (rolling("after: {scrpt: ls}"), f"{STEP}.after.scrpt",
         "unknown key 'scrpt'; did you mean 'script'?"),
        (rolling("before: {script: ls, always: true}"), f"{STEP}.before.always",
         "unknown key 'always'; there are script, touches, timeout, retries, backoff, idempotent, "
         "on_unknown, on_stale, runs_on"),
        (rolling("after: {script: ls, backoff: 5s}"), f"{STEP}.after.backoff",
         "backoff is the pause before a retry; say how many retries there are"),
        (rolling("after: 'echo $((#{Octopus.Step.Name}))'"), f"{STEP}.after",
         "line 1 of the script: the value of Octopus.Step.Name cannot be quoted here: a shell "
         "evaluates what stands in (( )); use \"$(get_variable 'Octopus.Step.Name')\" or the "
         "environment where the script can, or #{Octopus.Step.Name | raw} to insert it as code"),
        (rolling("after: {script: ls, touches: [lb, LB]}"), f"{STEP}.after.touches[1]",
         "resource 'LB' stands already in catalog.yaml:24"),
        (script("runs_on: prod-04"), f"{STEP}.runs_on",
         "there is no machine 'prod-04'; did you mean 'prod-03'?"),
        (script("runs_on: 'prod-[01:02]'"), f"{STEP}.runs_on",
         "there is no machine 'prod-[01:02]'; did you mean 'prod-02'?"),
        (rolling("", "name: Swap, script: ls, runs_on: qa-2"), f"{STEP}.steps[0].runs_on",
         "there is no machine 'qa-2'; did you mean 'qa-1'?"),
        (rolling("before: {script: ls, runs_on: qa-2}"), f"{STEP}.before.runs_on",
         "there is no machine 'qa-2'; did you mean 'qa-1'?"),
        (rolling("before: {script: ls, runs_on: '#{Octopus.Machine.Nam}'}"),
         f"{STEP}.before.runs_on",
         "there is no variable 'Octopus.Machine.Nam'; did you mean 'Octopus.Machine.Name'? Or "
         "write ##{ where the text shall hold #{ itself"),
        (rolling("before: {script: ls, runs_on: '#{Octopus'}"), f"{STEP}.before.runs_on",
         "line 1: #{Octopus is not closed by a brace on its line, or holds another one; "
         "write ##{ where the text shall hold #{ itself"),
        (rolling("before: ls", "name: 'roll: before', script: ls"), f"{STEP}.steps[0].name",
         "step 'roll: before' stands already in catalog.yaml:24"),
        (rolling("", "name: Swap, script: ls, ramp: [1]"), f"{STEP}.steps[0].ramp",
         "'ramp' cannot stand here; it belongs to the rolling group"),
        (rolling("", "name: Swap, script: ls, before: ls"), f"{STEP}.steps[0].before",
         "'before' cannot stand here; it belongs to the rolling group"),
        (script("required: perhaps"), f"{STEP}.required", "must be true or false"),
        (script("environments: []"), f"{STEP}.environments", "must not be empty"),
        (script("channels: []"), f"{STEP}.channels", "must not be empty"),
        (manual("responsible: []"), f"{STEP}.responsible", "must not be empty"),
        (manual("responsible: alice"), f"{STEP}.responsible", "must be a list"),
        (manual("keep_tag: perhaps"), f"{STEP}.keep_tag", "must be true or false"),
        (script("roles: [wbe]"), f"{STEP}.roles[0]",
         "there is no machine with the role 'wbe'; did you mean 'web'?"),
        (script("environments: [QA, Prodction]"), f"{STEP}.environments[1]",
         "there is no environment 'Prodction'; did you mean 'Production'?"),
        (manual("exclude_environments: [Q]"), f"{STEP}.exclude_environments[0]",
         "there is no environment 'Q'; did you mean 'QA'?"),
        (script("environments: [QA], exclude_environments: [QA]"),
         f"{STEP}.exclude_environments[0]", "'QA' is also one of its environments"),
        (rolling("channels: [hotfixes]"), f"{STEP}.channels[0]",
         "there is no channel 'hotfixes'; did you mean 'hotfix'?"),
        (rolling("", "name: ROLL, script: ls"), f"{STEP}.steps[0].name",
         "step 'ROLL' stands already in catalog.yaml:24"),
        (rolling("", "name: Swap, script: ls, touches: [iis, IIS]"), f"{STEP}.steps[0].touches[1]",
         "resource 'IIS' stands already in catalog.yaml:24"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_step_is_told_with_its_place_and_nothing_else_is(
    faults: Faults, text: str, path: str, message: str
) -> None:
    found = [(f.file, f.line, f.path, _without_folder(f.message)) for f in faults(text)]
    assert found == [("catalog.yaml", 24, path, message)]


def _without_folder(message: str) -> str:
    return " ".join(
        word.rpartition("/")[2] if "catalog.yaml" in word else word for word in message.split(" ")
    )


@pytest.mark.parametrize(
    ("text", "strange", "message"),
    [
        (script("instructions: x, responsible: [a], keep_tag: true, on_failure: exclude, "
                "ramp: [1], max_failures: 1, before: x, after: x, "
                "steps: [{name: S, script: ls}]"),
         ["instructions", "responsible", "keep_tag", "on_failure", "ramp", "max_failures",
          "before", "after", "steps"],
         "a script step has no '{}'"),
        (manual("roles: [web], script: ls, touches: [iis], timeout: 1m, retries: 1, backoff: 1m, "
                "idempotent: true, on_unknown: ask, on_stale: wait, max_parallel: 1, "
                "runs_on: qa-1, on_failure: stop, steps: [{name: S, script: ls}]"),
         ["roles", "script", "touches", "timeout", "retries", "backoff", "idempotent",
          "on_unknown", "on_stale", "max_parallel", "runs_on", "on_failure", "steps"],
         "a manual step has no '{}'"),
        (rolling("script: ls, touches: [iis], timeout: 1m, retries: 1, backoff: 1m, "
                 "idempotent: true, on_unknown: ask, on_stale: wait, runs_on: qa-1"),
         ["script", "touches", "timeout", "retries", "backoff", "idempotent", "on_unknown",
          "on_stale", "runs_on"],
         "a rolling group has no '{}'; put it at the steps in it"),
        (rolling("instructions: x, responsible: [a], keep_tag: true"),
         ["instructions", "responsible", "keep_tag"], "a rolling group has no '{}'"),
    ],
)  # fmt: skip
def test_each_key_that_a_kind_of_step_does_not_have_is_told(
    faults: Faults, text: str, strange: list[str], message: str
) -> None:
    found = {(f.path, f.message) for f in faults(text)}
    assert found == {(f"{STEP}.{key}", message.format(key)) for key in strange}


def test_a_step_of_a_group_has_no_name_that_any_other_step_of_the_process_has(
    faults: Faults,
) -> None:
    text = process(
        "{name: Swap, script: ls}",
        "{name: Roll, kind: rolling, steps: [{name: swap, script: ls}]}",
        "{name: Again, kind: rolling, steps: [{name: Roll, script: ls}]}",
    )
    assert [(f.line, f.path) for f in faults(text)] == [
        (25, "projects[0].process[1].steps[0].name"),
        (26, "projects[0].process[2].steps[0].name"),
    ]


@pytest.mark.parametrize("step", ["Swap", "Approve", "Install", "'Roll: after'"])
def test_a_value_may_be_scoped_to_any_step_that_does_something(read: Read, step: str) -> None:
    read(_scoped(step))


def test_a_value_scoped_to_a_rolling_group_would_apply_nowhere(faults: Faults) -> None:
    (fault,) = faults(_scoped("Roll"))
    assert fault.path == "projects[0].variables[0].scope.steps[0]"
    assert fault.message == "there is no step 'Roll'"


def _scoped(step: str) -> str:
    text = process(
        SCRIPT,
        MANUAL,
        "{name: Roll, kind: rolling, after: x, steps: [{name: Swap, script: x}]}",
    )
    variable = f"    variables: [{{name: A, value: 1, scope: {{steps: [{step}]}}}}]\n    process"
    return text.replace("    variables: []\n    process", variable)


def test_what_is_wrong_in_a_faulty_group_is_told_at_once(faults: Faults) -> None:
    text = process(
        "{name: Roll, kind: rolling, steps: [{name: A, script: ls, retries: many}, "
        "{name: B, scirpt: 'echo $((#{Octopus.Step.Name}))'}, "
        "{name: C, script: ls, touches: [a, A]}]}"
    )
    assert [f.path for f in faults(text)] == [
        f"{STEP}.steps[0].retries",
        f"{STEP}.steps[1].scirpt",
        f"{STEP}.steps[2].touches[1]",
        f"{STEP}.steps[1].scirpt",
    ]
