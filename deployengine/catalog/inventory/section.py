"""The section ``inventories`` of a catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from deployengine.catalog.connection import Connection
from deployengine.catalog.names import Name, RangedName, SomeRangedNames
from deployengine.catalog.node import Node, Text
from deployengine.catalog.scalars import as_written

#: The word for what is so if nobody says it: every group is a role.
_GROUPS = "groups"

_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def _each_as_a_list(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _as_a_list(each) for key, each in value.items()}


def _as_a_list(value: Any) -> Any:
    value = as_written(value)
    return [value] if isinstance(value, str) else [] if value is None else value


def _roles(value: Any) -> Any:
    if value == _GROUPS:
        return None
    if isinstance(value, list):
        return {as_written(each): [] for each in value if isinstance(each, str | int | float)}
    if not isinstance(value, dict):
        raise ValueError(f"must be {_GROUPS!r}, a list of groups, or a mapping of groups to roles")
    return _each_as_a_list(value)


#: Names by the hosts that bear them: a group, a host, or a pattern of either.
ByHosts = dict[RangedName, list[Name]]


class Inventory(Node):
    """Machines that are read from an inventory, as if they stood here."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(Connection.model_fields, "connection")

    file: Text = Field(
        min_length=1,
        description="An inventory of Ansible's in INI or YAML, the output of `ansible-inventory "
        "--list`, or an ssh_config. A relative path starts at the folder of this file.",
        examples=["hosts.ini", "~/.ssh/config"],
    )
    format: Literal["ansible", "ansible-list", "ssh_config"] | None = Field(
        default=None,
        description="Left out: as its name and its text suggest. ansible: INI or YAML. "
        "ansible-list: the JSON of `ansible-inventory --list`.",
    )
    environment: Name | None = Field(
        default=None, description="The environment of all of its hosts."
    )
    environments: Annotated[
        ByHosts,
        BeforeValidator(_each_as_a_list),
        WithJsonSchema({"type": "object", "additionalProperties": _NAMES, "minProperties": 1}),
    ] = Field(
        default_factory=dict,
        min_length=1,
        description="Environments by groups: of a host that is in several of them it has all. "
        "A pattern such as web-* stands for groups and hosts.",
        examples=[{"production": "Production", "staging": "Staging"}],
    )
    roles: Annotated[
        ByHosts | None,
        BeforeValidator(_roles),
        WithJsonSchema(
            {
                "anyOf": [
                    {"const": _GROUPS},
                    {"type": "array", "items": {"type": "string"}},
                    {"type": "object", "additionalProperties": {**_NAMES}},
                ]
            }
        ),
    ] = Field(
        default=None,
        description="groups: every group that a host is in is a role of it, but those that name "
        "environments. A list: only these groups. A mapping: roles by groups. Left out: groups.",
        examples=[["web", "db"], {"webservers": "web"}],
    )
    only: SomeRangedNames | None = Field(
        default=None,
        description="Only these hosts: groups, names, ranges, or patterns as web-*. Left out: all.",
        examples=[["production", "web-*"]],
    )
    exclude: SomeRangedNames | None = Field(
        default=None,
        description="Not these hosts.",
        examples=[["localhost", "windows"]],
    )
    connection: Connection = Field(
        default_factory=Connection,
        description="What holds for all hosts that do not say it themselves. They are reached by "
        "SSH unless they or this say otherwise.",
    )
