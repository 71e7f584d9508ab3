"""Which format a file has, by its name, and how values get into it."""

from __future__ import annotations

from collections.abc import Callable

import yaml

from deployengine.domain.package_layout import settings_format
from deployengine.packages.settings import env_text, json_text, yaml_text
from deployengine.packages.settings.spots import Values, change

#: The text with the values in it; raises :class:`Unreadable`.
Change = Callable[[str, Values], str]


class Unreadable(ValueError):
    """The text is not of its format; says why without quoting a value."""


def format_of(path: str) -> Change | None:
    """How values get into a file of this name; ``None``: its format is not known."""
    name = settings_format(path)
    return _FORMATS[name] if name else None


def _json(text: str, values: Values) -> str:
    try:
        return change(text, json_text.spots_of(text), values, json_text.write)
    except json_text.NotJson as error:
        raise Unreadable(f"it is no JSON: {error}") from error


def _yaml(text: str, values: Values) -> str:
    try:
        changed = change(text, yaml_text.spots_of(text), values, yaml_text.write)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Unreadable(f"it is no YAML: {error.problem}{line}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Unreadable("it is no YAML") from error
    try:
        yaml_text.check(changed)
    except yaml.YAMLError as error:
        raise Unreadable("with the values in it it would be no YAML any more") from error
    return changed


def _toml(text: str, values: Values) -> str:
    from deployengine.packages.settings import toml_text  # it brings a library of an extra

    try:
        return toml_text.changed(text, values)
    except toml_text.TOMLKitError as error:
        line = getattr(error, "line", None)
        where = f", line {line}" if line else ""
        raise Unreadable(f"it is no TOML{where}") from error
    except RecursionError as error:
        raise Unreadable("it is no TOML") from error


def _env(text: str, values: Values) -> str:
    try:
        return change(text, env_text.spots_of(text), values, env_text.write)
    except env_text.NoSuchLine as error:
        raise Unreadable(str(error)) from error


_FORMATS: dict[str, Change] = {
    "json": _json,
    "jsonc": _json,
    "yaml": _yaml,
    "yml": _yaml,
    "toml": _toml,
    "env": _env,
}
