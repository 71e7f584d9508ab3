"""The lines of an ``ssh_config``: its options, and for which hosts each of them counts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path

from deployengine.catalog.inventory import ssh_options
from deployengine.catalog.inventory.listing import Place, Unreadable
from deployengine.domain.errors import Fault

#: Files within files, as many as OpenSSH takes.
_DEEPEST = 16

_LINE = re.compile(r"(?P<option>\w+)(?:\s*=\s*|\s+|$)(?P<rest>.*)")
#: Options whose text is the rest of the line as it stands.
_COMMANDS = ("proxycommand", "localcommand", "remotecommand", "knownhostscommand")

#: Patterns of which a host's name must fit one; ``None``: nobody can tell here.
Wanted = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Option:
    """An option, and what the ``Host`` lines around it want. The first that fits a host counts."""

    name: str
    text: str = field(repr=False)
    place: Place
    around: tuple[Wanted, ...]

    def is_for(self, host: str) -> bool:
        """Whether it counts for the host."""
        return fits(host, self.around)


@dataclass(slots=True)
class SshConfigFile:
    """A file with all that it includes; ``names`` are those that its ``Host`` lines spell out."""

    options: list[Option] = field(default_factory=list)
    names: dict[str, Place] = field(default_factory=dict)
    warnings: list[Fault] = field(default_factory=list)


def parse(text: str, file: str) -> SshConfigFile:
    """Reads such a text. Raises :class:`Unreadable`."""
    found = SshConfigFile()
    _read(text, file, (), found, 0)
    return found


def fits(host: str, around: tuple[Wanted, ...]) -> bool:
    """Whether a host is wanted by all of these."""
    return all(each is not None and _fits(host, each) for each in around)


def _fits(host: str, patterns: tuple[str, ...]) -> bool:
    """One pattern must fit, and none of those with ``!`` may."""
    matching = [p for p in patterns if fnmatchcase(host, p.removeprefix("!").replace("[", "[[]"))]
    return bool(matching) and not any(pattern.startswith("!") for pattern in matching)


def _read(
    text: str, file: str, outside: tuple[Wanted, ...], found: SshConfigFile, depth: int
) -> None:
    around = outside
    told: Place | None = None
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        match = _LINE.match(line)
        if line.startswith("#") or match is None:
            continue
        option, place = match["option"].lower(), Place(file, number, match["option"])
        if option in _COMMANDS:
            found.options.append(Option(match["option"], match["rest"], place, around))
            continue
        words = _words(match["rest"], place)
        if option == "host":
            around = (*outside, tuple(words))
            _names(words, place, around, found)
        elif option == "match":
            around = (*outside, ("*",) if [w.lower() for w in words] == ["all"] else None)
            told = place
        elif option == "include":
            for included, content in _included(words, place, depth):
                _read(content, included, around, found, depth + 1)
        else:
            found.options.append(Option(match["option"], " ".join(words), place, around))
        if None in around and told is not None and ssh_options.matters(option):
            message = "what stands below such a Match is not read, as it depends on more than names"
            found.warnings.append(told.fault(message))
            told = None


def _words(rest: str, place: Place) -> list[str]:
    """The words of a line, up to a comment."""
    lexer = shlex.shlex(rest, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise Unreadable(place.fault("the quotes do not match")) from error
    comment = next((i for i, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]


def _names(
    words: list[str], place: Place, around: tuple[Wanted, ...], found: SshConfigFile
) -> None:
    for word in words:
        if not set("*?!") & set(word) and fits(word, around):
            found.names.setdefault(word, Place(place.file, place.line, word))


def _included(words: list[str], place: Place, depth: int) -> Iterator[tuple[str, str]]:
    """The files that are there; a relative path is one in ``~/.ssh``, as OpenSSH has it."""
    if depth >= _DEEPEST:
        raise Unreadable(place.fault("files include each other too deeply"))
    for word in words:
        for path in sorted(glob(_from_home(word, place))):  # noqa: PTH207 - an absolute pattern
            try:
                yield path, Path(path).read_text("utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                said = getattr(error, "strerror", "") or "it is not UTF-8"
                raise Unreadable(place.fault(f"{path} can't be read: {said}")) from error


def _from_home(word: str, place: Place) -> str:
    try:
        return str(Path("~/.ssh").expanduser() / Path(word).expanduser())
    except RuntimeError as error:
        raise Unreadable(place.fault("~ leads to no home; write the whole path")) from error
