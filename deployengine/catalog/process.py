"""The steps of a process: scripts, questions to people, and groups that roll over machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from deployengine.catalog.lines import Path
from deployengine.catalog.names import Name, Names, SomeNames
from deployengine.catalog.node import Count, Node, Quota, Short, Span, Text
from deployengine.catalog.packages import PackageUse
from deployengine.catalog.scalars import as_written
from deployengine.catalog.tools import ToolUse
from deployengine.domain.errors import did_you_mean, nearest

CONDITIONS = ("success", "failure", "always")

OnMachines = Literal["script", "package", "http", "systemd", "docker-compose", "ansible"]
#: The kinds of steps that run on machines, each with the key without which it makes no sense.
ON_MACHINES = {
    "script": "script",
    "package": "package",
    "http": "url",
    "systemd": "unit",
    "docker-compose": "files",
    "ansible": "playbook",
}


def _condition(text: str) -> str:
    """Any other text would count as true."""
    text = text.strip()
    if text not in CONDITIONS and "#{" not in text.replace("##{", ""):
        advice = did_you_mean(nearest(text, CONDITIONS))
        raise ValueError(
            f"must be {', '.join(CONDITIONS)}, or a text with #{{…}} that is true or false"
            + (f"; {advice}" if advice else "")
        )
    return text


def _on_machines(kind: Any) -> Any:
    if kind in ("manual", "rolling"):
        raise ValueError("a rolling group holds no manual step and no other group")
    return kind


def _line_ends(text: str) -> str:
    """A shell takes the CR of a Windows line end for a part of the last word."""
    return text.replace("\r\n", "\n")


Condition = Annotated[
    str,
    BeforeValidator(as_written),
    AfterValidator(_condition),
    WithJsonSchema(
        {"anyOf": [{"enum": list(CONDITIONS)}, {"type": "string", "pattern": r"#\{"}]},
    ),
]


class Touch(Short):
    """Something that a step touches: it waits for other steps that touch the same, and no more."""

    resource: Name = Field(examples=["iis", "db:billing"])
    mode: Literal["exclusive", "shared"] = Field(
        default="exclusive", description="shared: together with others that share it."
    )
    everywhere: bool = Field(
        default=False,
        description="true: one and the same for all machines, as a central database is.",
    )


class Script(Node):
    """A script, and what there is to say of how it runs."""

    script: Annotated[str, AfterValidator(_line_ends)] = Field(
        default="",
        min_length=1,
        strict=True,
        description="Runs under /bin/sh unless it begins with #!. #{Name} inserts a variable. "
        "Windows line ends become those of Unix.",
        examples=['echo "installing #{Octopus.Project.Name} #{Octopus.Release.Number}"\n'],
    )
    touches: list[Touch] = Field(
        default_factory=list,
        description="What the step touches. It then shares the machine with steps that touch "
        "something else. Left out: it has the machine to itself.",
        examples=[["iis", {"resource": "db:billing", "mode": "shared"}]],
    )
    timeout: Span | None = Field(
        default=None,
        serialization_alias="timeout_seconds",
        description="Left out: none.",
        examples=["15m", "1h30m", "90s", 90],
    )
    retries: int = Field(
        default=0, ge=0, le=10, strict=True, description="Further attempts after a failed one."
    )
    backoff: Span | None = Field(
        default=None,
        serialization_alias="backoff_seconds",
        description="The pause before the first retry, doubled before each further one. "
        "Left out: none.",
        examples=["10s"],
    )
    idempotent: bool = Field(
        default=False,
        description="true: the script may run again although nobody knows how far it came.",
    )
    on_unknown: Literal["fail", "ask", "rerun"] = Field(
        default="fail",
        description="When its script is gone and nobody knows how it ended, as after its machine "
        "went down. fail: the run counts as failed. ask: the deployment is paused until somebody "
        "says how it ended. rerun: the script runs again; only with idempotent: true.",
    )
    on_stale: Literal["wait", "terminate"] = Field(
        default="wait",
        description="When the script of an older run still runs on the machine. wait: for its "
        "end. terminate: it is ended first.",
    )
    runs_on: Name | None = Field(
        default=None,
        description="Another machine that carries it out on behalf of the one that it is for. It "
        "holds that machine instead. #{Name} inserts a variable. Left out: the machine itself.",
        examples=["lb-1", "#{LoadBalancer}"],
    )


class Named(Node):
    """What everything that comes in an order has."""

    name: Name = Field(examples=["Install"])
    condition: Condition = Field(
        default="success",
        description="When it runs. success: all before it went well. failure: something did not. "
        "always. Or a text with #{…} that is true or false.",
        examples=[*CONDITIONS, "#{Migrate}"],
    )


class ScriptStep(PackageUse, ToolUse, Script, Named):
    """What a step that runs on machines has, be it one of the process or one of a rolling group."""


class Before(Short, Script):
    """The script before a machine's turn in a rolling group: it takes the machine out of use."""


class After(Short, Script):
    """The script after it: it puts the machine back, unless something went wrong on it."""

    always: bool = Field(
        default=False,
        description="true: also when something went wrong on the machine, and it is left out.",
    )


#: What a rolling group says beside its steps, and no other step does.
OF_GROUPS = ("ramp", "on_failure", "max_failures", "before", "after")


class GroupStep(ScriptStep):
    """One step of a rolling group; the group says where it runs."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [needed]} for needed in ON_MACHINES.values()]}
    )

    kind: Annotated[OnMachines, BeforeValidator(_on_machines)] = "script"

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "roles",
            "environments",
            "exclude_environments",
            "channels",
            "start",
            "required",
            "max_parallel",
            *OF_GROUPS,
        ),
        "the rolling group",
    )


class Step(ScriptStep):
    """One step of a process; it runs on every machine of the environment with one of its roles.

    A manual step runs nowhere and asks a person; a rolling group takes its own steps from
    machine to machine.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [needed]}
                for needed in (*ON_MACHINES.values(), "instructions", "steps")
            ]
        }
    )

    kind: Literal[OnMachines, "manual", "rolling"] = Field(
        default="script",
        description="script: a shell script. package: a version of a package is brought into use. "
        "http: a URL is asked until it answers well. systemd: something is done with units. "
        "docker-compose: services are brought up. ansible: a playbook runs. "
        "manual: somebody has to say proceed or abort. rolling: a group of steps, machine by "
        "machine.",
    )
    roles: Names = Field(
        default_factory=list, description="Left out: every machine of the environment."
    )
    environments: SomeNames = Field(
        default_factory=list, description="It runs only in these. Left out: in all."
    )
    exclude_environments: Names = Field(
        default_factory=list, description="It does not run in these."
    )
    channels: SomeNames = Field(
        default_factory=list,
        description="It runs only for releases in these channels. Left out: for all.",
    )
    start: Literal["after_previous", "with_previous"] = Field(
        default="after_previous",
        description="with_previous: together with the step before it.",
    )
    required: bool = Field(default=False, description="true: nobody may skip it.")
    max_parallel: Count | None = Field(
        default=None,
        description="At most so many machines at once; left out: no limit but the task cap. "
        "Of a rolling group: how many machines it works on at once; left out: 1, or with a ramp "
        "all that come after it.",
    )
    ramp: list[Quota] = Field(
        default_factory=list,
        min_length=1,
        description="Batches with which a rolling group begins: so many machines at once, or such "
        "a share of them. Each begins when the one before has ended; then comes the rest.",
        examples=[[1, 5], [1, "10%"]],
    )
    instructions: Text = Field(
        default="",
        min_length=1,
        description="What a manual step asks. #{Name} inserts a variable.",
        examples=["Check the dashboards of #{Octopus.Environment.Name}"],
    )
    responsible: SomeNames = Field(
        default_factory=list,
        description="Who may answer a manual step. Left out: anybody.",
        examples=[["alice", "bob"]],
    )
    keep_tag: bool = Field(
        default=False,
        description="true: while a manual step waits, the deployment keeps its task tag, so that "
        "no other one of the project goes to the environment.",
    )
    on_failure: Literal["stop", "exclude"] = Field(
        default="stop",
        description="When a machine of a rolling group failed. stop: no further one begins. "
        "exclude: it is left out, the others go on.",
    )
    max_failures: Quota | None = Field(
        default=None,
        description="So many machines of a rolling group, or such a share, may fail and be left "
        "out. When more have, no further one begins, and the group has failed. Left out: any "
        "number.",
        examples=[3, "20%"],
    )
    before: Before | None = Field(
        default=None,
        description="A script before each machine's turn in a rolling group, as to take it out of "
        "a load balancer.",
    )
    after: After | None = Field(
        default=None,
        description="A script after each machine's turn that went well, as to put it back.",
    )
    steps: list[GroupStep] = Field(
        default_factory=list, min_length=1, description="The steps of a rolling group, in order."
    )


def each_script(process: Sequence[Step]) -> Iterator[tuple[Script, Path]]:
    """Every step, and the hooks of each rolling group, with their places in the project."""
    for step, place in each_step(process):
        yield step, place
        for key, hook in hooks(step).items():
            yield hook, (*place, key)


def hooks(step: Step | GroupStep) -> dict[str, Script]:
    """The hooks that a step has, by their keys."""
    said = {"before": step.before, "after": step.after} if isinstance(step, Step) else {}
    return {key: hook for key, hook in said.items() if hook is not None}


def each_step(process: Sequence[Step]) -> Iterator[tuple[Step | GroupStep, Path]]:
    """Every step and its place in the project, a rolling group before the steps in it."""
    for index, step in enumerate(process):
        yield step, ("process", index)
        for place, child in enumerate(step.steps):
            yield child, ("process", index, "steps", place)
