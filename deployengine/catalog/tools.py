"""Steps that have a tool do something: what a catalog says of them, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from deployengine.catalog.fields import written
from deployengine.catalog.lines import Path
from deployengine.catalog.node import Node, Text, Value
from deployengine.catalog.said import (
    ONE_OR_MORE,
    STRIPPED,
    CountSaid,
    FlagSaid,
    SpanSaid,
    Structure,
    checked,
    inserts,
    schema_of,
)
from deployengine.catalog.scalars import as_written
from deployengine.domain import tool_words as words
from deployengine.domain.errors import Fault
from deployengine.domain.tools import METHODS, UNIT_ACTIONS, UNIT_SCOPES

if TYPE_CHECKING:
    from deployengine.catalog.entries import Entry


def _url(text: str) -> str | None:
    return words.url(text) or ("holds a password; say it by #{…}" if _login(text) else None)


def _login(url: str) -> bool:
    return "@" in url.partition("://")[2].partition("/")[0]


Method = Annotated[str, STRIPPED, checked(words.choice(METHODS)), schema_of(METHODS)]
Action = Annotated[str, STRIPPED, checked(words.choice(UNIT_ACTIONS)), schema_of(UNIT_ACTIONS)]
Scope = Annotated[str, STRIPPED, checked(words.choice(UNIT_SCOPES)), schema_of(UNIT_SCOPES)]
Status = Annotated[str, BeforeValidator(as_written), checked(words.statuses)]
Unit = Annotated[Text, checked(words.unit)]
File = Annotated[Text, checked(words.path)]
Service = Annotated[Text, checked(words.service)]
Tag = Annotated[Text, checked(words.tag)]


class Health(Node):
    """What has to become healthy."""

    healthy_within: SpanSaid | None = Field(
        default=None,
        description="How long it may take until all is healthy. Left out: 60s for an http step, "
        "120s for a docker-compose step.",
        examples=["2m"],
    )


class HttpUse(Health):
    """What an http step says: it asks a URL until the answer is as it should be."""

    url: Annotated[Text, checked(_url)] = Field(
        default="",
        min_length=1,
        description="What is asked, from the machine itself, or from the one that runs_on names.",
        examples=["http://localhost:8080/health"],
    )
    method: Method = Field(default="GET", description="The method of the request.")
    headers: dict[str, Value] = Field(
        default_factory=dict,
        description="Headers of the request.",
        examples=[{"Authorization": "Bearer #{Token}"}],
    )
    body: Text = Field(default="", min_length=1, description="The body of the request.")
    expect: Annotated[list[Status], ONE_OR_MORE] = Field(
        default=["200-399"],
        min_length=1,
        description="Which status codes are good. A redirect is an answer, and is not followed.",
        examples=[[200, 204], ["200-299", 401]],
    )
    contains: Annotated[Text, checked(words.sought)] = Field(
        default="",
        min_length=1,
        description="A text that must be in the answer; or between slashes an extended regular "
        "expression for one of its lines.",
        examples=["ready", "/^status: (up|ok)$/"],
    )
    every: SpanSaid = Field(default=1.0, description="The pause between two requests.")
    answer_within: SpanSaid = Field(default=10.0, description="How long one answer may take.")
    successes: CountSaid = Field(default=1, description="So many good answers must come in a row.")
    insecure_tls: FlagSaid = Field(
        default=False, description="true: the certificate of the server is not checked."
    )


class SystemdUse(Node):
    """What a systemd step says: it does something with units until they are as they should be."""

    unit: Annotated[list[Unit], ONE_OR_MORE] = Field(
        default_factory=list,
        min_length=1,
        description="The unit, or several.",
        examples=["nginx.service", ["shop", "shop-worker@1"]],
    )
    action: Action = Field(default="restart", description="What is done with them.")
    active_within: SpanSaid = Field(
        default=30.0,
        description="How long they may take to be active; of stop: to be active no more.",
    )
    stable: SpanSaid = Field(
        default=2.0, description="How long they must stay so, without being started anew."
    )
    scope: Scope = Field(
        default="system", description="user: units of the user that scripts run as."
    )
    daemon_reload: FlagSaid = Field(
        default=False, description="true: systemd reads the files of all units again before."
    )


class ComposeUse(Health):
    """What a docker-compose step says: it brings services up and waits until they are healthy."""

    files: Annotated[list[File], ONE_OR_MORE] = Field(
        default_factory=list,
        min_length=1,
        description="The Compose files. A relative one is within the workdir.",
        examples=["shop/compose.yaml"],
    )
    project: Annotated[Text, checked(words.project)] = Field(
        default="",
        min_length=1,
        description="The name of the Compose project. Left out: as Compose has it.",
    )
    services: Annotated[list[Service], ONE_OR_MORE] = Field(
        default_factory=list, min_length=1, description="Only these. Left out: all."
    )
    env_file: Annotated[list[File], ONE_OR_MORE] = Field(
        default_factory=list,
        min_length=1,
        description="Files with variables for what stands in the Compose files.",
    )
    environment: dict[str, Value] = Field(
        default_factory=dict,
        description="Variables for what stands in the Compose files; they may be sensitive.",
        examples=[{"TAG": "#{Octopus.Release.Number}"}],
    )
    pull: FlagSaid = Field(default=True, description="false: images are not pulled before.")
    build: FlagSaid = Field(default=False, description="true: images are built before.")
    remove_orphans: FlagSaid = Field(
        default=False, description="true: containers go that the files do not have any more."
    )


class PlaybookUse(Node):
    """What an ansible step says: it runs a playbook, limited to the machine that it is for."""

    playbook: File = Field(
        default="",
        min_length=1,
        description="The playbook, on the machine that runs_on names. A relative one is within "
        "its workdir.",
        examples=["site.yaml"],
    )
    inventory: File = Field(
        default="",
        min_length=1,
        description="The inventory, which knows the machine by its name here. Left out: as "
        "Ansible's own settings say.",
        examples=["hosts.yaml"],
    )
    extra_vars: Structure = Field(
        default_factory=dict,
        description="Variables for the playbook; they may be sensitive.",
        examples=[{"version": "#{Octopus.Release.Number}"}],
    )
    tags: Annotated[list[Tag], ONE_OR_MORE] = Field(
        default_factory=list, min_length=1, description="Only what bears one of these tags."
    )
    check: FlagSaid = Field(default=False, description="true: nothing is changed, only told.")


class ToolUse(HttpUse, SystemdUse, ComposeUse, PlaybookUse):
    """What steps have that use a tool; each kind of step has its own part of it."""


#: The part of each kind.
USES: dict[str, type[Node]] = {
    "http": HttpUse,
    "systemd": SystemdUse,
    "docker-compose": ComposeUse,
    "ansible": PlaybookUse,
}


def tool_texts(step: ToolUse) -> Iterator[tuple[Path, str]]:
    """Every text of a step's tool in which there may be ``#{…}``, with its place in the step."""
    for key in written(ToolUse):
        yield from _texts(getattr(step, key), (key,))


def _texts(value: Any, place: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield place, value
    inner = value.items() if isinstance(value, dict) else ()
    for key, each in enumerate(value) if isinstance(value, list) else inner:
        yield from _texts(each, (*place, key))


def unsound_tool(entry: Entry[Any], step: Any, place: Path) -> Iterator[Fault]:
    """What a step lacks or contradicts that uses a tool."""
    for key in ("healthy_within", "active_within"):
        span = getattr(step, key, None)
        if isinstance(span, float) and step.timeout is not None and span >= step.timeout:
            message = "the step's timeout ends it before: let it be shorter, or the timeout longer"
            if entry.says(*place, key):
                yield entry.fault(message, *place, key)
    match step.kind:
        case "http":
            yield from _unsound_check(entry, step, place)
        case "systemd":
            yield from _unsound_action(entry, step, place)
        case "docker-compose":
            yield from _names(entry, step.environment, place, "environment")
        case "ansible":
            yield from _names(entry, step.extra_vars, place, "extra_vars")
            if not entry.says(*place, "runs_on"):
                message = "'runs_on' is missing: name the machine that Ansible is on, a local one"
                yield entry.fault(message, *place)


def _unsound_check(entry: Entry[Any], step: HttpUse, place: Path) -> Iterator[Fault]:
    for name, value in step.headers.items():
        why = words.header_name(name) or (not inserts(value) and words.header_value(value))
        if why:
            yield entry.fault(why, *place, "headers", name)
    if inserts(step.url) and not _may_begin_a_url(step.url.partition("#{")[0]):
        yield entry.fault("must begin with http:// or https://", *place, "url")
    given = (step.successes, step.every, step.healthy_within or 60.0)
    if not any(isinstance(each, str) for each in given):
        successes, every, within = map(float, given)
        if (successes - 1) * every >= within:
            message = f"so many answers, {every:g} s apart, do not come within {within:g} s"
            yield entry.fault(message, *place, "successes")
    for key in ("body", "contains"):
        if step.method == "HEAD" and getattr(step, key):
            yield entry.fault(f"a HEAD request has no {key}", *place, key)


def _may_begin_a_url(text: str) -> bool:
    schemes = ("http://", "https://")
    return any(text.startswith(each) or each.startswith(text) for each in schemes)


def _unsound_action(entry: Entry[Any], step: SystemdUse, place: Path) -> Iterator[Fault]:
    for key in ("active_within", "stable"):
        if UNIT_ACTIONS.get(step.action, True) is None and key in step.model_fields_set:
            yield entry.fault(f"{step.action} starts and stops nothing to wait for", *place, key)


def _names(entry: Entry[Any], values: dict[str, Any], place: Path, key: str) -> Iterator[Fault]:
    for name in values:
        if why := words.variable(name):
            yield entry.fault(f"the name of a variable {why}", *place, key, name)
