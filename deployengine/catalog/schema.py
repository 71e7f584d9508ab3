"""What may stand in a catalog file. Titles, descriptions and examples are for people's editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from deployengine.catalog.connection import Connection
from deployengine.catalog.inventory.section import Inventory
from deployengine.catalog.names import (
    Name,
    Names,
    RangedName,
    RangedNames,
    VariableName,
)
from deployengine.catalog.node import OR_EMPTY, Count, Node, Priority, Short, Text, Value
from deployengine.catalog.packages import Feed
from deployengine.catalog.process import Step
from deployengine.catalog.timetable import Freeze, Schedule


class Environment(Short):
    """A stage that releases pass through. The order of environments counts."""

    name: Name = Field(examples=["QA", "Production"])
    description: Text = Field(default="", description="What it is for.")
    guided_failure: bool = Field(
        default=False,
        description="true: when a step of a deployment to it fails, somebody is asked what to do.",
    )
    share: Count | None = Field(
        default=None,
        description="At most so many scripts run at once for it. Left out: no limit.",
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
    max_concurrent: Count | None = Field(
        default=None,
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
    priority: Priority = Field(
        default=0, description="From -5 to 5; added to the project's. The highest goes first."
    )
    keep_releases: Count | None = Field(
        default=None,
        description="How many releases of a project are kept in each of its environments. "
        "Left out: all.",
    )


class Lifecycle(Node):
    """The order in which releases pass through environments."""

    name: Name = Field(examples=["auto"])
    default: bool = Field(
        default=False, description="true: that of projects which name none. At most one is it."
    )
    phases: list[Phase] = Field(min_length=1, description="The first phase comes first.")


class Channel(Node):
    """A way out for releases of one project: it picks another lifecycle."""

    name: Name = Field(examples=["hotfix"])
    lifecycle: Name = Field(description="The lifecycle of releases in this channel.")


class Scope(Node):
    """Where a value applies: one of each kind that is named. The most specific value wins."""

    reserved: ClassVar[Mapping[str, str]] = {"tenants": "scope the value by something else"}

    environments: Names = Field(default_factory=list, min_length=1)
    machines: RangedNames = Field(default_factory=list, min_length=1)
    roles: Names = Field(default_factory=list, min_length=1)
    channels: Names = Field(default_factory=list, min_length=1)
    steps: Names = Field(default_factory=list, min_length=1)
    phases: Names = Field(default_factory=list, min_length=1)


class Prompt(Node):
    """Whoever deploys is asked for the value."""

    label: Text = Field(default="", description="What is asked. Left out: the variable's name.")
    description: Text = Field(default="", description="What people should know to answer.")
    required: bool = Field(default=False, description="true: an empty answer is none.")


class Variable(Node):
    """One value of a variable and where it applies; the same name may stand here again."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["value"]}, {"required": ["prompt"]}]}
    )

    name: VariableName = Field(examples=["OctopusBypassDeploymentMutex", "Port"])
    value: Value = Field(
        default="",
        repr=False,
        description="Text; numbers are kept as they are written, true and false become True and "
        "False. #{Other} inserts another variable. Of a prompted variable, what it is when nobody "
        "gives another value; it may be left out then.",
        examples=["8080", "#{Host}:#{Port}"],
    )
    sensitive: bool = Field(
        default=False, description="Encrypted where it is stored, never printed, masked in logs."
    )
    scope: Scope = Field(default_factory=Scope, description="Left out: it applies everywhere.")
    prompt: Prompt | None = Field(
        default=None, description="Whoever deploys is asked for the value."
    )


class VariableSet(Node):
    """Variables that projects may include."""

    name: Name = Field(examples=["Shared"])
    variables: Annotated[list[Variable], OR_EMPTY] = Field(default_factory=list)


class Project(Node):
    """Something that is released, or many alike when the name holds a range."""

    name: RangedName = Field(
        description="A range makes many projects: app-[001:200].",
        examples=["shop", "app-[001:200]"],
    )
    lifecycle: Name | None = Field(
        default=None,
        description="The lifecycle of releases without a channel. Left out: the default one.",
    )
    channels: Annotated[list[Channel], OR_EMPTY] = Field(default_factory=list)
    include: Annotated[Names, OR_EMPTY] = Field(
        default_factory=list, description="Variable sets; of two alike the first one wins."
    )
    variables: Annotated[list[Variable], OR_EMPTY] = Field(
        default_factory=list, description="They win over those of the sets."
    )
    mutex: Literal["step", "deployment"] = Field(
        default="step",
        description="How long a deployment holds a machine. step: for each step's script. "
        "deployment: from its first step there to its last.",
    )
    supersede: bool = Field(
        default=False,
        description="true: a newer release cancels older ones that wait for the same environment "
        "and have not begun.",
    )
    guided_failure: bool | None = Field(
        default=None,
        description="Whether somebody is asked when a step fails. Left out: as the environment "
        "says.",
    )
    share: Count | None = Field(
        default=None,
        description="At most so many scripts run at once for it. Left out: no limit.",
    )
    priority: Priority = Field(
        default=0, description="From -5 to 5. Deployments with the highest go first."
    )
    unavailable_machines: Literal["fail", "skip", "wait"] = Field(
        default="fail",
        description="What happens to a step whose machine can't be reached or used. fail: it "
        "fails. skip: the deployment goes on without the machine, which catches up later. wait: "
        "it waits until the machine is back.",
    )
    process: list[Step] = Field(min_length=1, description="The steps, one after the other.")


class CatalogFile(Node):
    """A catalog: what there is. A file may hold a part of it; all files are read as one."""

    environments: list[Environment] = Field(default_factory=list)
    machines: list[Machine] = Field(default_factory=list)
    inventories: list[Inventory] = Field(default_factory=list)
    lifecycles: list[Lifecycle] = Field(default_factory=list)
    variable_sets: list[VariableSet] = Field(default_factory=list)
    feeds: list[Feed] = Field(default_factory=list)
    projects: list[Project] = Field(default_factory=list)
    freezes: list[Freeze] = Field(default_factory=list)
    schedules: list[Schedule] = Field(default_factory=list)


Item = Environment | Machine | Lifecycle | VariableSet | Feed | Project | Freeze | Schedule

#: The sections of a file in the order in which their items are stored, and what one item is.
SECTIONS: dict[str, type[Item]] = {
    "environments": Environment,
    "machines": Machine,
    "lifecycles": Lifecycle,
    "variable_sets": VariableSet,
    "feeds": Feed,
    "projects": Project,
    "freezes": Freeze,
    "schedules": Schedule,
}

#: All sections of a file: those, and the inventories that further machines are read from.
PARTS: dict[str, type[Node]] = {**SECTIONS, "inventories": Inventory}
