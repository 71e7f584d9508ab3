"""Settings: read once, frozen, checked whole, handed down.

A value comes from its environment variable, else from the settings file, else it is the default.
``config/settings.yaml`` documents every one of them; a test holds it to this module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from deployengine.domain.errors import Fault, InvalidInput, did_you_mean, nearest

PREFIX = "DEPLOYENGINE_"

#: Names the settings file; no setting itself.
FILE_VARIABLE = "DEPLOYENGINE_SETTINGS"

#: What a running script finds in its environment, who gives a command, and what is for developers:
#: no settings.
_NOT_SETTINGS = frozenset(
    f"DEPLOYENGINE_{name}"
    for name in (
        *("PROJECT", "RELEASE", "ENVIRONMENT", "MACHINE", "STEP"),
        *("DEPLOYMENT", "ATTEMPT", "TICKET", "TICKET_FOLDER", "USER", "DEBUG", "SETTINGS"),
        *("PACKAGE", "PACKAGE_VERSION", "PACKAGE_FOLDER"),
        *("FAILPOINTS", "FAILPOINTS_TRACE", "MUTATIONS"),
    )
)

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What the engine was told, checked; printing it never shows a secret.

    Times are in seconds. ``home`` is absolute when read by :meth:`read`.
    """

    #: Embedded database, embedded Redis, master key, logs.
    home: Path
    #: SQLAlchemy's form; left out, the SQLite file in the home.
    database_url: str = ""
    #: redis-py's form; ``None`` means the embedded server in the home.
    redis_url: str | None = None
    #: Encrypts sensitive values; ``None`` means a key file.
    master_key: str | None = None
    #: ``None`` means ``master.key`` in the home.
    master_key_file: Path | None = None
    #: How many scripts run at once in one worker.
    task_cap: int = 5
    #: How long a worker may give no sign of life before others take over what it runs.
    lease: float = 10.0
    #: Between two rounds of housekeeping.
    housekeeping_interval: float = 5.0
    #: Between two looks at what lifecycles do not keep.
    retention_interval: float = 86_400.0
    #: Between two looks at a machine that is healthy; 0: none is looked at unless it was found bad.
    health_interval: float = 3600.0
    #: Between two batches of a script's output into the database.
    output_interval: float = 1.0
    #: Between TERM and KILL when a script is cancelled.
    cancel_grace: float = 10.0
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        if not self.database_url:
            object.__setattr__(self, "database_url", self._embedded_database_url)

    @classmethod
    def read(cls, environ: Mapping[str, str], cwd: Path, file: Path | None = None) -> Settings:
        """The settings in force; raises :class:`InvalidInput` with every fault at once.

        The file is ``file``, else the one ``DEPLOYENGINE_SETTINGS`` names, else
        ``settings.yaml`` in the home where there is one. A relative path counts from ``cwd``
        in a variable, and from the file's folder in a file. An empty variable counts as unset.
        """
        faults: list[Fault] = []
        given = _from_environment(environ, cwd, faults)
        default_home = given.get("home", _absolute(Path(".deployengine"), cwd))
        named = file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
        path = _absolute(named, cwd) if named else default_home / "settings.yaml"
        written = _from_file(path, faults, required=named is not None)
        if not named and written.get("home", default_home) != default_home:
            message = f"this file was found in the home {default_home}: it cannot name another"
            faults.append(Fault(f"{message}; set DEPLOYENGINE_HOME", str(path), None, "home"))
        # A key given by variable outranks the file's in whichever form each is written.
        if given.keys() & {"master_key", "master_key_file"}:
            written = {k: v for k, v in written.items() if not k.startswith("master_key")}
        values = {"home": default_home} | written | given
        _check_together(values, faults)
        if faults:
            raise InvalidInput(faults)
        return cls(**values)

    @property
    def embedded_redis(self) -> bool:
        """Whether the Redis is the one in the home, which this engine starts and stops."""
        return self.redis_url is None

    @property
    def embedded_database(self) -> bool:
        """Whether the database is the SQLite file in the home."""
        return self.database_url == self._embedded_database_url

    @property
    def database_path(self) -> Path:
        """Where the embedded database lies."""
        return self.home / "deployengine.db"

    @property
    def redis_dir(self) -> Path:
        """Where the embedded Redis keeps its socket and locks."""
        return self.home / "redis"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def redacted(self) -> dict[str, str | int | float | None]:
        """Every setting by name, fit to print or log: keys and passwords show as ``***``."""
        shown: dict[str, str | int | float | None] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            shown[field.name] = str(value) if isinstance(value, Path) else value
        shown["master_key"] = "***" if self.master_key else None
        shown["database_url"] = redacted_url(self.database_url)
        shown["redis_url"] = redacted_url(self.redis_url) if self.redis_url else None
        return shown

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in self.redacted().items())})"

    @property
    def _embedded_database_url(self) -> str:
        return f"sqlite:///{self.database_path}"


def redacted_url(url: str) -> str:
    """The URL with its password as ``***``, be it before the host or among the parameters.

    Works on what is no lawful URL too, and hides too much there rather than too little.
    """
    if "://" not in url:
        return "***"
    url = re.sub(r"(://[^:@/?#]*:).*@", r"\1***@", url)
    return re.sub(r"(?i)([?&][^=&]*pass[^=&]*=)[^&]*", r"\1***", url)


def _from_environment(environ: Mapping[str, str], cwd: Path, faults: list[Fault]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    known = {PREFIX + name.upper(): name for name in _PARSERS}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in _NOT_SETTINGS or not text:
            continue
        if variable not in known:
            faults.append(_unknown("environment variable", variable, [*known, FILE_VARIABLE]))
            continue
        try:
            values[known[variable]] = _PARSERS[known[variable]](text, cwd)
        except ValueError as error:
            faults.append(Fault(str(error), path=variable))
    return values


def _from_file(path: Path, faults: list[Fault], *, required: bool) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if required:
            faults.append(Fault("there is no such settings file", str(path)))
        return {}
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(f"cannot be read: {error}", str(path)))
        return {}
    try:
        return _from_document(text, path, faults)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else None
        faults.append(Fault(f"is not YAML: {error.problem}", str(path), line))
    except yaml.YAMLError as error:
        faults.append(Fault(f"is not YAML: {error}", str(path)))
    return {}


def _from_document(text: str, path: Path, faults: list[Fault]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    seen: set[str] = set()
    loader = yaml.SafeLoader(text)
    root = loader.get_single_node()
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        faults.append(Fault("should be a mapping of settings", str(path), 1))
        return {}
    for key_node, value_node in root.value:
        line = key_node.start_mark.line + 1
        key = str(loader.construct_object(key_node, deep=True))
        value = loader.construct_object(value_node, deep=True)
        if key not in _PARSERS:
            faults.append(_unknown("setting", key, _PARSERS, str(path), line))
        elif key in seen:
            faults.append(Fault("is given twice", str(path), line, key))
        elif value is not None:
            try:
                values[key] = _PARSERS[key](value, path.parent)
            except ValueError as error:
                faults.append(Fault(str(error), str(path), line, key))
        seen.add(key)
    return values


def _check_together(values: Mapping[str, Any], faults: list[Fault]) -> None:
    if "master_key" in values and "master_key_file" in values:
        faults.append(Fault("give master_key or master_key_file, not both", path="master_key"))
    if "?" in str(values["home"]):
        # SQLAlchemy ends the name of a SQLite file there, and has no way to quote it.
        faults.append(Fault("the path may not contain '?'", path="home"))


def _unknown(
    kind: str, name: str, known: Collection[str], file: str | None = None, line: int | None = None
) -> Fault:
    question = did_you_mean(nearest(name, known))
    advice = question or f"known are: {', '.join(known)}"
    return Fault(f"there is no {kind} {name!r}; {advice}", file, line)


def _absolute(path: Path, base: Path) -> Path:
    return (base / path.expanduser()).resolve()


def _path(value: object, base: Path) -> Path:
    return _absolute(Path(_text(value, base)), base)


def _text(value: object, _base: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("should be a text")
    return value.strip()


def _url(*schemes: str) -> Callable[[object, Path], str]:
    def parse(value: object, base: Path) -> str:
        url = _text(value, base)
        if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            forms = ", ".join(f"{scheme}://…" for scheme in schemes)
            raise ValueError(f"{redacted_url(url)!r} should begin as one of {forms}")
        return url

    return parse


def _count(value: object, _base: Path) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 1:
        raise ValueError(f"{value!r} should be a whole number, 1 or more")
    return int(text)


def _seconds(least: float) -> Callable[[object, Path], float]:
    def parse(value: object, _base: Path) -> float:
        message = f"{value!r} should be a number of seconds, {least:g} or more"
        if not isinstance(value, int | float | str) or isinstance(value, bool):
            raise ValueError(message)
        try:
            seconds = float(value)
        except ValueError:
            raise ValueError(message) from None
        if not math.isfinite(seconds) or seconds < least:
            raise ValueError(message)
        return seconds

    return parse


def _level(value: object, base: Path) -> str:
    text = _text(value, base).upper()
    if text not in _LEVELS:
        advice = did_you_mean(nearest(text, _LEVELS)) or f"known are: {', '.join(_LEVELS)}"
        raise ValueError(f"there is no log level {value!r}; {advice}")
    return text


#: Every setting: what turns a variable's text or a file's value into it, or says what it should be.
_PARSERS: Mapping[str, Callable[[object, Path], Any]] = {
    "home": _path,
    "database_url": _url("sqlite", "postgresql+psycopg"),
    "redis_url": _url("redis", "rediss", "unix"),
    "master_key": _text,
    "master_key_file": _path,
    "task_cap": _count,
    "lease": _seconds(0.5),
    "housekeeping_interval": _seconds(0.1),
    "retention_interval": _seconds(1),
    "health_interval": _seconds(0),
    "output_interval": _seconds(0.1),
    "cancel_grace": _seconds(0),
    "log_level": _level,
}
