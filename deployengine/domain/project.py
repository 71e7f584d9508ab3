"""Projects: a process of steps, variables, and the channels that pick a lifecycle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deployengine.domain.admission import Mode
from deployengine.domain.availability import Policy, policy_of
from deployengine.domain.quota import Quota
from deployengine.domain.tools import Tool, tool_of
from deployengine.domain.variables import Variable


class OnUnknown(StrEnum):
    """What follows when nobody knows how a run ended: its script began and is gone."""

    FAIL = "fail"
    ASK = "ask"
    RERUN = "rerun"


class OnStale(StrEnum):
    """What a run does on a machine where the script of an older one still runs."""

    WAIT = "wait"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Touch:
    """A resource that a step touches, and how.

    The resource belongs to the machine (``iis`` on prod-01 is another than on prod-02) unless
    ``everywhere`` is set: then it is one and the same for all machines, as a shared database is.
    """

    resource: str
    mode: Mode = Mode.EXCLUSIVE
    everywhere: bool = False


class StepKind(StrEnum):
    """What a step does: run a script on machines, ask a person, bring a package into use there.

    Or have a tool do something (:mod:`deployengine.domain.tools`). ``ACQUIRE`` is none that a
    process has: see :mod:`deployengine.domain.acquisition`.
    """

    SCRIPT = "script"
    MANUAL = "manual"
    PACKAGE = "package"
    HTTP = "http"
    SYSTEMD = "systemd"
    DOCKER_COMPOSE = "docker-compose"
    ANSIBLE = "ansible"
    ACQUIRE = "acquire"


class OnFailure(StrEnum):
    """What a rolling group does when a machine failed: begin no other one, or leave it out."""

    STOP = "stop"
    EXCLUDE = "exclude"


class Hook(StrEnum):
    """A script around a machine's turn in a rolling group: it takes it out, or puts it back."""

    BEFORE = "before"
    AFTER = "after"


class Mutex(StrEnum):
    """How long a deployment holds a machine: for each step's script, or from first to last."""

    STEP = "step"
    DEPLOYMENT = "deployment"


#: How many versions before the one in use a package step keeps, unless it says so.
KEPT_VERSIONS = 3

#: Run conditions; any other text is an expression that is true or false.
SUCCESS, FAILURE, ALWAYS = "success", "failure", "always"


@dataclass(frozen=True, slots=True)
class Rolling:
    """The group that a step is a child of: machine by machine, at most ``window`` of them at once.

    Before that go the batches of the ``ramp``. So many machines as ``max_failures`` says may fail
    and be left out. Both are numbers of machines, or shares of the group's (``"10%"``).
    ``condition`` is that of the whole group.
    """

    name: str
    window: int | None = 1
    on_failure: OnFailure = OnFailure.STOP
    condition: str = SUCCESS
    ramp: tuple[Quota, ...] = ()
    max_failures: Quota | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a process; it runs on every machine of the environment with one of its roles.

    A manual step runs nowhere: it asks those who are ``responsible`` (nobody named: anybody).
    ``environments`` and ``channels`` that are empty mean all. ``condition`` is one of
    :data:`SUCCESS`, :data:`FAILURE`, :data:`ALWAYS`, or an expression. ``timeout_seconds`` ``None``
    means no time-out. ``retries`` counts further attempts after the first, which
    ``backoff_seconds`` of pause precede, doubled for each. ``idempotent`` says that the script may
    run again although nobody knows how far it came; only then may ``on_unknown`` be ``rerun``.
    ``runs_on`` names another machine that carries the script out, or has ``#{…}`` in its place. A
    ``hook`` is a script of its group's own. A ``tool`` is there in place of a script for steps that
    use one. The rest is of package steps: ``substitute`` and
    ``settings`` are patterns of files, ``keep`` counts the versions before this one, ``into`` is
    the folder and may have ``#{…}`` in it.
    """

    name: str
    script: str = ""
    kind: StepKind = StepKind.SCRIPT
    roles: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    exclude_environments: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    condition: str = SUCCESS
    with_previous: bool = False
    required: bool = False
    max_parallel: int | None = None
    touches: tuple[Touch, ...] = ()
    timeout_seconds: float | None = None
    retries: int = 0
    backoff_seconds: float = 0.0
    idempotent: bool = False
    on_unknown: OnUnknown = OnUnknown.FAIL
    on_stale: OnStale = OnStale.WAIT
    instructions: str = ""
    responsible: tuple[str, ...] = ()
    keep_tag: bool = False
    rolling: Rolling | None = None
    runs_on: str | None = None
    hook: Hook | None = None
    tool: Tool | None = None
    package: str = ""
    feed: str = ""
    substitute: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    keep: int = KEPT_VERSIONS
    into: str = ""

    @classmethod
    def from_document(cls, document: Mapping[str, Any], rolling: Rolling | None = None) -> Step:
        """The step that a stored catalog document or release snapshot describes."""
        return cls(
            name=document["name"],
            script=document.get("script", ""),
            kind=StepKind(document.get("kind", "script")),
            roles=tuple(document.get("roles", ())),
            environments=tuple(document.get("environments", ())),
            exclude_environments=tuple(document.get("exclude_environments", ())),
            channels=tuple(document.get("channels", ())),
            condition=document.get("condition", SUCCESS),
            with_previous=document.get("start") == "with_previous",
            required=document.get("required", False),
            max_parallel=document.get("max_parallel"),
            touches=tuple(
                Touch(t["resource"], Mode(t.get("mode", "exclusive")), t.get("everywhere", False))
                for t in document.get("touches", ())
            ),
            timeout_seconds=document.get("timeout_seconds"),
            retries=document.get("retries", 0),
            backoff_seconds=document.get("backoff_seconds", 0.0),
            idempotent=document.get("idempotent", False),
            on_unknown=OnUnknown(document.get("on_unknown", "fail")),
            on_stale=OnStale(document.get("on_stale", "wait")),
            instructions=document.get("instructions", ""),
            responsible=tuple(document.get("responsible", ())),
            keep_tag=document.get("keep_tag", False),
            rolling=rolling,
            runs_on=document.get("runs_on"),
            hook=Hook(document["hook"]) if "hook" in document else None,
            tool=tool_of(document),
            package=document.get("package", ""),
            feed=document.get("feed", ""),
            substitute=tuple(document.get("substitute", ())),
            settings=tuple(document.get("settings", ())),
            keep=document.get("keep", KEPT_VERSIONS),
            into=document.get("into") or _own_folder(document.get("package", "")),
        )

    @property
    def unit(self) -> Rolling | Step:
        """What it is opened and skipped with: the group that it is a child of, or itself."""
        return self.rolling or self

    @property
    def closes(self) -> bool:
        """Whether it ends each turn that has begun, on machines that were left out, too."""
        return self.hook is Hook.AFTER and self.condition == ALWAYS

    @property
    def for_failures(self) -> bool:
        """Whether it runs only where something has failed."""
        return FAILURE in (self.condition, self.unit.condition)

    @property
    def repeated(self) -> bool:
        """Whether it is part of every retry: it runs whatever went well before, itself included."""
        return self.unit.condition in (ALWAYS, FAILURE)

    def left_out(self, environment: str, channel: str | None) -> str | None:
        """Why the step is no part of such a deployment; ``None``: it is one."""
        excluded = environment in self.exclude_environments
        if excluded or (self.environments and environment not in self.environments):
            return f"not in {environment}"
        if self.channels and channel not in self.channels:
            return f"not in channel {channel}" if channel else "only in channels"
        return None


def _own_folder(package: str) -> str:
    return f"packages/{package}" if package else ""


def steps_of(process: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """The steps of a process, the children of rolling groups in the place of their group."""
    return tuple(step for document in process for step in _flat(document))


def _flat(document: Mapping[str, Any]) -> Iterator[Step]:
    if document.get("kind") != "rolling":
        yield Step.from_document(document)
        return
    ramp = tuple(document.get("ramp", ()))
    rolling = Rolling(
        document["name"],
        document.get("max_parallel", None if ramp else 1),
        OnFailure(document.get("on_failure", "stop")),
        document.get("condition", SUCCESS),
        ramp,
        document.get("max_failures"),
    )
    # What says where and when the group runs holds for each child; the rest is the child's own.
    common = ("roles", "environments", "exclude_environments", "channels", "required")
    shared = {key: document[key] for key in common if key in document}
    before, after = (list(_hook(document, hook)) for hook in Hook)
    for index, child in enumerate((*before, *document["steps"], *after)):
        start = document.get("start", "after_previous") if index == 0 else "after_previous"
        yield Step.from_document({**child, **shared, "start": start}, rolling)


def hook_name(group: str, hook: Hook) -> str:
    """What the step is called that a group's hook becomes."""
    return f"{group}: {hook.value}"


def _hook(group: Mapping[str, Any], hook: Hook) -> Iterator[dict[str, Any]]:
    """The hook as a step of its group, if there is one."""
    if hook.value in group:
        said = dict(group[hook.value])
        # A machine on which something went wrong is not put back without being told to.
        condition = ALWAYS if said.pop("always", False) else SUCCESS
        name = hook_name(group["name"], hook)
        yield {**said, "name": name, "hook": hook.value, "condition": condition}


@dataclass(frozen=True, slots=True)
class Project:
    """What a release of this name is made of; ``channels`` maps a channel to its lifecycle.

    ``guided_failure`` ``None``: as the environment says.
    """

    name: str
    lifecycle: str
    channels: Mapping[str, str]
    include: tuple[str, ...]
    variables: tuple[Variable, ...]
    process: tuple[Step, ...]
    mutex: Mutex = Mutex.STEP
    supersede: bool = False
    guided_failure: bool | None = None
    share: int | None = None
    priority: int = 0
    unavailable_machines: Policy = Policy.FAIL

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Project:
        """The project that a stored catalog document describes."""
        return cls(
            name=document["name"],
            lifecycle=document["lifecycle"],
            channels={c["name"]: c["lifecycle"] for c in document.get("channels", ())},
            include=tuple(document.get("include", ())),
            variables=tuple(Variable.from_document(v) for v in document.get("variables", ())),
            process=steps_of(document["process"]),
            mutex=Mutex(document.get("mutex", "step")),
            supersede=document.get("supersede", False),
            guided_failure=document.get("guided_failure"),
            share=document.get("share"),
            priority=document.get("priority", 0),
            unavailable_machines=policy_of(document),
        )
