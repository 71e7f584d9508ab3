"""What may stand in a catalog file. Titles, descriptions and examples are for people's editors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from deployengine.catalog import duration
from deployengine.catalog.names import (
    Name,
    Names,
    RangedName,
    RangedNames,
    VariableName,
    as_written,
)


def _value(value: Any) -> Any:
    value = as_written(value)
    if isinstance(value, bool | int | float):
        return str(value)
    if value is None:
        raise ValueError('there is no value; write "" for an empty one')
    return value


def _timeout(value: Any) -> Any:
    return duration.seconds(value) if isinstance(value, str) else value


#: For lists whose entries may all be commented out, where that can't widen what is meant.
_OR_EMPTY = BeforeValidator(lambda value: [] if value is None else value)

Value = Annotated[
    str,
    BeforeValidator(_value),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
Timeout = Annotated[
    float,
    BeforeValidator(_timeout),
    Field(gt=0, allow_inf_nan=False, strict=True),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": duration.PATTERN},
            ]
        }
    ),
]


class Node(BaseModel):
    """Common to all parts of a catalog: an unknown key is a fault, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Short(Node):
    """A part that may be written as one word, which then is the value of ``short_for``."""

    @classmethod
    def short_for(cls) -> str:
        """The key that the word stands for: the first one."""
        return next(iter(cls.model_fields))

    @model_validator(mode="before")
    @classmethod
    def _lengthen(cls, value: Any) -> Any:
        word = as_written(value)
        return {cls.short_for(): word} if isinstance(word, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        whole = handler.resolve_ref_schema(handler(core))
        word = {k: v for k, v in whole["properties"][cls.short_for()].items() if k != "title"}
        return {"title": whole.get("title", ""), "anyOf": [word, whole]}


class Environment(Short):
    """A stage that releases pass through. The order of environments counts."""

    name: Name = Field(examples=["QA", "Production"])
    description: Annotated[str, BeforeValidator(as_written)] = Field(
        default="", description="What it is for."
    )


class Connection(Node):
    """How a machine is reached."""

    kind: Literal["local"] = Field(
        default="local", description="local: the scripts run on this host, in the workdir."
    )
    workdir: Annotated[str, BeforeValidator(as_written)] = Field(
        default="machines/#{machine}",
        min_length=1,
        description="The folder of the scripts; a relative one starts at the engine's home. "
        "#{machine} is the machine's name.",
        examples=["machines/#{machine}", "/srv/deploy/#{machine}"],
    )


class Machine(Node):
    """A deployment target, or many of them when the name holds a range."""

    name: RangedName = Field(
        description="A range makes many machines: prod-[01:30].", examples=["qa-1", "prod-[01:30]"]
    )
    environments: Names = Field(min_length=1, description="The environments that it belongs to.")
    roles: Names = Field(
        default_factory=list,
        description="Steps choose machines by role.",
        examples=[["web"], ["web", "db"]],
    )
    connection: Connection = Field(
        default_factory=Connection, description="How the machine is reached."
    )
    max_concurrent: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="At most so many steps that share the machine run on it at once.",
    )


class Phase(Node):
    """A stage of a lifecycle; without environments it has all that no phase before it names."""

    name: Name = Field(examples=["QA"])
    automatic: list[Name] = Field(
        default_factory=list,
        description="Environments that are deployed to as soon as a release enters the phase.",
    )
    manual: list[Name] = Field(
        default_factory=list, description="Environments that wait for somebody to deploy to them."
    )
    minimum: int = Field(
        default=0,
        ge=0,
        strict=True,
        description="How many of its environments must succeed before the next phase; 0: all.",
    )
    optional: bool = Field(
        default=False,
        description="An optional phase may be passed over and never deploys by itself.",
    )


class Lifecycle(Node):
    """The order in which releases pass through environments."""

    name: Name = Field(examples=["auto"])
    phases: list[Phase] = Field(min_length=1, description="The first phase comes first.")


class Channel(Node):
    """A way out for releases of one project: it picks another lifecycle."""

    name: Name = Field(examples=["hotfix"])
    lifecycle: Name = Field(description="The lifecycle of releases in this channel.")


class Scope(Node):
    """Where a value applies: one of each kind that is named. The most specific value wins."""

    environments: Names = Field(default_factory=list, min_length=1)
    machines: RangedNames = Field(default_factory=list, min_length=1)
    roles: Names = Field(default_factory=list, min_length=1)
    channels: Names = Field(default_factory=list, min_length=1)
    steps: Names = Field(default_factory=list, min_length=1)
    phases: Names = Field(default_factory=list, min_length=1)


class Variable(Node):
    """One value of a variable and where it applies; the same name may stand here again."""

    name: VariableName = Field(examples=["OctopusBypassDeploymentMutex", "Port"])
    value: Value = Field(
        repr=False,
        description="Text; numbers are kept as they are written, true and false become True and "
        "False. #{Other} inserts another variable.",
        examples=["8080", "#{Host}:#{Port}"],
    )
    sensitive: bool = Field(
        default=False, description="Encrypted where it is stored, never printed, masked in logs."
    )
    scope: Scope = Field(default_factory=Scope, description="Left out: it applies everywhere.")


class VariableSet(Node):
    """Variables that projects may include."""

    name: Name = Field(examples=["Shared"])
    variables: Annotated[list[Variable], _OR_EMPTY] = Field(default_factory=list)


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


class Step(Node):
    """One step of a process; it runs on every machine of the environment with one of its roles."""

    name: Name = Field(examples=["Install"])
    kind: Literal["script"] = Field(default="script", description="script: a shell script.")
    roles: Names = Field(
        default_factory=list, description="Left out: every machine of the environment."
    )
    script: str = Field(
        min_length=1,
        strict=True,
        description="Runs under /bin/sh unless it begins with #!. #{Name} inserts a variable.",
        examples=['echo "installing #{Octopus.Project.Name} #{Octopus.Release.Number}"\n'],
    )
    touches: list[Touch] = Field(
        default_factory=list,
        description="What the step touches. It then shares the machine with steps that touch "
        "something else. Left out: it has the machine to itself.",
        examples=[["iis", {"resource": "db:billing", "mode": "shared"}]],
    )
    timeout: Timeout | None = Field(
        default=None, description="Left out: none.", examples=["15m", "1h30m", "90s", 90]
    )
    retries: int = Field(
        default=0, ge=0, le=10, strict=True, description="Further attempts after a failed one."
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


class Project(Node):
    """Something that is released, or many alike when the name holds a range."""

    name: RangedName = Field(
        description="A range makes many projects: app-[001:200].",
        examples=["shop", "app-[001:200]"],
    )
    lifecycle: Name = Field(description="The lifecycle of releases without a channel.")
    channels: Annotated[list[Channel], _OR_EMPTY] = Field(default_factory=list)
    include: Annotated[Names, _OR_EMPTY] = Field(
        default_factory=list, description="Variable sets; of two alike the first one wins."
    )
    variables: Annotated[list[Variable], _OR_EMPTY] = Field(
        default_factory=list, description="They win over those of the sets."
    )
    process: list[Step] = Field(min_length=1, description="The steps, one after the other.")


class CatalogFile(Node):
    """A catalog: what there is. A file may hold a part of it; all files are read as one."""

    environments: list[Environment] = Field(default_factory=list)
    machines: list[Machine] = Field(default_factory=list)
    lifecycles: list[Lifecycle] = Field(default_factory=list)
    variable_sets: list[VariableSet] = Field(default_factory=list)
    projects: list[Project] = Field(default_factory=list)


Item = Environment | Machine | Lifecycle | VariableSet | Project

#: The sections of a file in the order in which their items are stored, and what one item is.
SECTIONS: dict[str, type[Environment | Machine | Lifecycle | VariableSet | Project]] = {
    "environments": Environment,
    "machines": Machine,
    "lifecycles": Lifecycle,
    "variable_sets": VariableSet,
    "projects": Project,
}
