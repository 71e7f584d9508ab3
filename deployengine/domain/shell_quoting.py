"""Shell quoting: puts a value into a script's text so that a shell can only take it as data.

How a value must be quoted hangs on where it stands, so a scanner reads the script as a POSIX shell
would and says of each :data:`MARK` in which :class:`Place` it is:

===========================  =====================================================================
bare word                    put into single quotes, always, so that ``2`` is no file number
``"double quotes"``          backslash before each of ``\\ " $ ```
``'single quotes'``          ``'`` becomes ``'\\''``
``<<EOF`` here-document      backslash before each of ``\\ $ ```; no line can become the delimiter
``# comment``                nothing is put in, the reference stays as written
```backquotes```             as the place within them says, then escaped once more
anywhere else                refused, with the reason
===========================  =====================================================================

Shells read a few constructs differently, or in a way that only running them tells. Rather than to
guess, the scanner gives up there and refuses every later place; such a script can still be written
plainly, or use ``raw``. It knows the shell's syntax and not what commands do with their arguments:
``eval``, ``sh -c '…'``, ``trap`` and the arithmetic comparisons of ``[[ ]]`` run their words as
code, wherever these come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import NoReturn

#: Stands for a value in the text to be scanned; no script and no value may hold it.
MARK = "\0"

_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "ksh93", "mksh", "zsh"})


class Kind(Enum):
    """The ways in which a shell reads the text around a place."""

    BARE = auto()
    DOUBLE = auto()
    SINGLE = auto()
    HERE = auto()
    COMMENT = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is to stand.

    ``backquotes`` counts those around it. ``delimiter`` ends the here-document that it is in,
    and ``strips_tabs`` tells the ``<<-`` form. ``reason`` says why a place is refused.
    """

    kind: Kind
    backquotes: int = 0
    delimiter: str = ""
    strips_tabs: bool = False
    reason: str = ""


def interpreter(script: str) -> str:
    """The name of the program that runs the script: from its ``#!`` line, else ``sh``."""
    if not script.startswith("#!"):
        return "sh"
    words = [word.rpartition("/")[2] for word in script[2:].partition("\n")[0].split()]
    if words and words[0] == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    if words and words[0] == "busybox":
        words = words[1:]
    return words[0] if words else ""


@lru_cache(maxsize=512)  # a step's script is scanned once, not once a machine
def places(script: str) -> tuple[Place, ...]:
    """Where each :data:`MARK` of the script stands, in their order."""
    program = interpreter(script)
    if program not in _SHELLS:
        reason = f"the script is run by {program or 'an unknown program'}, which is no POSIX shell"
        return (Place(Kind.REFUSED, reason=reason),) * script.count(MARK)
    found: list[Place] = []
    reason = ""
    try:
        _Scanner(script, found).run()
    except _Lost as lost:
        reason = f"shells differ in how they read what stands before it: {lost}"
    rest = script.count(MARK) - len(found)
    return (*found, *(Place(Kind.REFUSED, reason=reason) for _ in range(rest)))


def quote(value: str, place: Place) -> str:
    """The text that a shell reads as exactly this value in the place.

    Raises :class:`ValueError` where no value may be put in (a comment, a refused place) and for
    a value with a NUL character, which no shell can carry.
    """
    if MARK in value:
        raise ValueError("a shell cannot carry a NUL character")
    if place.kind not in _QUOTED:
        raise ValueError(f"nothing can be put in here: {place.kind.name.lower()} {place.reason}")
    text = _QUOTED[place.kind](value, place)
    for _ in range(place.backquotes):
        text = _escaped(text, "\\`$")
    return text


def _escaped(value: str, special: str) -> str:
    return "".join(f"\\{char}" if char in special else char for char in value)


#: Expands to nothing, and keeps a line of a here-document from being read as its delimiter.
_NOTHING = "${-+}"


def _here_text(value: str, place: Place) -> str:
    """Keeps apart the delimiter and each line that the text around may complete to it.

    A line that only begins like the delimiter is at risk too where it goes on beyond ASCII: there
    dash 0.5.12 drops a byte.
    """

    def at_risk(line: str) -> bool:
        tabbed = place.strips_tabs and line.startswith("\t")
        head = re.split(r"[^\x00-\x7f]", line, maxsplit=1)[0]
        return tabbed or head.lstrip("\t") in place.delimiter

    lines = value.split("\n")
    return "\n".join(_NOTHING * at_risk(line) + _escaped(line, "\\$`") for line in lines)


_QUOTED: dict[Kind, Callable[[str, Place], str]] = {
    Kind.BARE: lambda value, _: "'" + value.replace("'", "'\"'\"'") + "'",
    Kind.DOUBLE: lambda value, _: _escaped(value, '\\"$`'),
    Kind.SINGLE: lambda value, _: value.replace("'", "'\\''"),
    Kind.HERE: _here_text,
}


class _Lost(Exception):
    """From here on it is not certain how a shell reads the text."""


@dataclass(frozen=True, slots=True)
class _Here:
    delimiter: str
    quoted: bool
    strips_tabs: bool


_BOUNDARY = frozenset(" \t\n;&|<>()")
_PARAMETER = re.compile(r"\$(?:[A-Za-z_][A-Za-z_0-9]*|[0-9]+|[@*?$!-])")
_SUBSCRIPT = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\[[^\]]*")
_HERE_WORD = re.compile(
    r"""(?P<dash>-?)[ \t]*
        (?P<word>(?: '[^'\0\n]*' | "[^"\\$`\0\n]*" | \\[^\0\n] | [^\s;&|<>()'"\\$`\0] )+)""",
    re.VERBOSE,
)


class _Scanner:
    """Reads one text from its start to its end, adding the place of every mark to ``found``."""

    def __init__(self, text: str, found: list[Place], backquotes: int = 0, why: str = "") -> None:
        self.text = text
        self.at = 0
        self.found = found
        self.backquotes = backquotes
        self.pending: list[_Here] = []
        #: Why marks are refused in the construct that is being read; empty when they are not.
        self.why = why

    def run(self) -> None:
        self._commands(nested=False)
        if self.pending and self.backquotes:
            self._lose("a here-document that does not end inside its backquotes")

    def _next(self, ahead: int = 1) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def _lose(self, what: str) -> NoReturn:
        raise _Lost(what)

    def _mark(self, kind: Kind, here: _Here | None = None, refusal: str = "") -> None:
        refusal = self.why or refusal
        if refusal:
            self.found.append(Place(Kind.REFUSED, reason=refusal))
        elif here:
            place = Place(kind, self.backquotes, here.delimiter, here.strips_tabs)
            self.found.append(place)
        else:
            self.found.append(Place(kind, self.backquotes))

    @contextmanager
    def _refusing(self, why: str) -> Iterator[None]:
        before, self.why = self.why, self.why or why
        yield
        self.why = before

    def _commands(self, nested: bool) -> None:
        """Reads commands to the end of the text or, ``nested``, through the closing parenthesis."""
        depth, start = 0, self.at
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "#" and start == self.at:
                self._comment()
            elif self.text.startswith("\\\n", self.at):
                # The shell removes it before it looks for words.
                start += 2 * (start == self.at)
                self.at += 2
                continue
            elif char not in _BOUNDARY:
                self._word_part(char, start)
                continue
            elif nested and self.text[start : self.at] == "case":
                self._lose("a case inside $( )")
            elif char == ")" and nested and depth == 0:
                self.at += 1
                return
            elif self.text.startswith("((", self.at):
                self._arithmetic(2)
            else:
                depth += {"(": 1, ")": -1}.get(char, 0)
                self._boundary(char)
            start = self.at

    def _word_part(self, char: str, start: int) -> None:
        if char == MARK:
            subscript = _SUBSCRIPT.fullmatch(self.text, start, self.at)
            self._mark(
                Kind.BARE, refusal="a shell may evaluate a subscript in [ ]" if subscript else ""
            )
            self.at += 1
        elif char == "'":
            self._single()
        elif char == '"':
            self._double()
        else:
            self._expansion(char, quoted=False)

    def _expansion(self, char: str, quoted: bool) -> None:
        """Reads a backslash, dollar or backquote with what belongs to it, else one character."""
        if char == "\\":
            if self._next() == MARK:
                self._mark(Kind.REFUSED, refusal="a backslash stands right before it; double it")
            self.at += 2
        elif char == "$":
            self._dollar(quoted)
        elif char == "`":
            self._backquote(quoted)
        else:
            self.at += 1

    def _boundary(self, char: str) -> None:
        self.at += 1
        if char == "\n":
            pending, self.pending = self.pending, []
            for here in pending:
                self._here_body(here)
        elif char == "<" and self.text.startswith("<<", self.at):
            self.at += 2
        elif char == "<" and self.text.startswith("<", self.at):
            self.at += 1
            self._here_word()
        elif char == "<" and self.text.startswith("\\\n", self.at):
            self._lose("a line continued right after <")

    def _comment(self) -> None:
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        first = self.at == 0 and self.text.startswith("#!")
        for _ in range(self.text.count(MARK, self.at, end)):
            self._mark(Kind.COMMENT, refusal="it stands in the #! line" if first else "")
        self.at = end

    def _single(self) -> None:
        end = self.text.find("'", self.at + 1)
        end = len(self.text) if end < 0 else end
        for _ in range(self.text.count(MARK, self.at, end)):
            self._mark(Kind.SINGLE)
        self.at = end + 1

    def _double(self) -> None:
        self.at += 1
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return
            if char == MARK:
                self._mark(Kind.DOUBLE)
            self._expansion(char, quoted=True)

    def _dollar(self, quoted: bool) -> None:
        following = self._next()
        parameter = _PARAMETER.match(self.text, self.at)
        if following == MARK:
            self._mark(Kind.REFUSED, refusal="a $ stands right before it; write \\$ for the sign")
            self.at += 2
        elif following == "(" and self._next(2) == "(":
            self._arithmetic(3)
        elif following == "(":
            self._substitution()
        elif following == "{":
            self._braces(quoted)
        elif following == "'" and not quoted:
            self._ansi_string()
        elif following == "[" or self.text.startswith("\\\n", self.at + 1):
            self._lose(f"${following}")
        elif parameter and quoted and self.text.startswith(MARK, parameter.end()):
            name = parameter.group()
            advice = f"{name} stands right before it; write ${{{name[1:]}}}"
            self._mark(Kind.REFUSED, refusal=advice)
            self.at = parameter.end() + 1
        else:
            self.at = parameter.end() if parameter else self.at + 1

    def _substitution(self) -> None:
        outer, self.pending = self.pending, []
        begin = self.at
        self.at += 2
        why = "it stands in $( ) on a line that begins a here-document" if outer else ""
        with self._refusing(why):
            self._commands(nested=True)
        if self.pending or (outer and "\n" in self.text[begin : self.at]):
            self._lose("a here-document across the edge of $( )")
        self.pending = outer

    def _arithmetic(self, opening: int) -> None:
        self.at += opening
        depth = 0
        with self._refusing("a shell evaluates what stands in (( ))"):
            while self.at < len(self.text):
                char = self.text[self.at]
                if char == ")" and depth == 0:
                    break
                if char in "'\"\n":
                    self._lose("quotes or lines in (( )); write ( ( for two subshells")
                if char == MARK:
                    self._mark(Kind.REFUSED)
                depth += {"(": 1, ")": -1}.get(char, 0)
                self._expansion(char, quoted=True)
        if not self.text.startswith("))", self.at):
            self._lose("(( without )); write ( ( for two subshells")
        self.at += 2

    def _braces(self, quoted: bool) -> None:
        self.at += 2
        if self._next(0) in tuple(" \t\n|"):
            self._lose("a command in ${ }")
        with self._refusing("it stands in ${ }; put it into a variable of the shell first"):
            while self.at < len(self.text) and self.text[self.at] != "}":
                self._brace_part(self.text[self.at], quoted)
        self.at += 1

    def _brace_part(self, char: str, quoted: bool) -> None:
        begin = self.at
        if char == "{" or (char == "'" and quoted):
            self._lose(f"{char} in ${{ }}")
        if char == "'":
            self._single()
        elif char == '"':
            self._double()
            if quoted and "}" in self.text[begin : self.at]:
                self._lose('a } in quotes in "${ }"')
        else:
            if char == MARK:
                self._mark(Kind.REFUSED)
            self._expansion(char, quoted)

    def _ansi_string(self) -> None:
        self.at += 2
        with self._refusing("it stands in $' '; use double quotes"):
            while self.at < len(self.text) and self.text[self.at] != "'":
                if self.text.startswith("\\'", self.at):
                    self._lose("\\' in $' '")
                if self.text[self.at] == MARK:
                    self._mark(Kind.REFUSED)
                in_escape = self.text[self.at] == "\\"
                self._expansion("\\" if in_escape else "", quoted=True)
        self.at += 1

    def _backquote(self, quoted: bool) -> None:
        """A shell takes the backslashes off what stands between, then reads it as commands."""
        whole = re.compile(r"`((?:[^\\`]|\\.)*)`", re.DOTALL).match(self.text, self.at)
        if whole is None:
            self._lose("a backquote that is not closed")
        if quoted and '\\"' in whole.group(1):
            self._lose('\\" in backquotes')
        inner = re.sub(r"\\([\\`$])", r"\1", whole.group(1))
        why = self.why
        if self.pending:
            why = why or "it stands in backquotes on a line that begins a here-document"
            if "\n" in inner:
                self._lose("a here-document across the edge of backquotes")
        _Scanner(inner, self.found, self.backquotes + 1, why).run()
        self.at = whole.end()

    def _here_word(self) -> None:
        word = _HERE_WORD.match(self.text, self.at)
        if word is None or (self.text[word.end() : word.end() + 1] or "\n") not in _BOUNDARY:
            self._lose("the delimiter of a here-document")
        quoted = any(char in word["word"] for char in "'\"\\")
        delimiter = re.sub(r"\\(.)|['\"]", r"\1", word["word"]) if quoted else word["word"]
        self.pending.append(_Here(delimiter, quoted, bool(word["dash"])))
        self.at = word.end()

    def _here_body(self, here: _Here) -> None:
        before = len(self.found)
        while self.at < len(self.text):
            end = self.text.find("\n", self.at)
            line = self.text[self.at : end if end >= 0 else len(self.text)]
            if (line.lstrip("\t") if here.strips_tabs else line) == here.delimiter:
                self.at += len(line) + 1
                return
            if here.quoted:
                for _ in range(line.count(MARK)):
                    self._mark(
                        Kind.REFUSED,
                        refusal="it stands in a here-document whose delimiter is quoted, "
                        "where the shell takes all text literally",
                    )
                self.at += len(line) + 1
            else:
                self._here_line(here)
        # Shells disagree on whether such a document ends with the text or is an error.
        del self.found[before:]
        self._lose(f"a here-document without its end {here.delimiter}")

    def _here_line(self, here: _Here) -> None:
        while self.at < len(self.text):
            begin, char = self.at, self.text[self.at]
            if char == MARK:
                self._mark(Kind.HERE, here)
            if char in "$`":
                with self._refusing("it stands in a substitution inside a here-document"):
                    self._expansion(char, quoted=True)
                if "\n" in self.text[begin : self.at]:
                    self._lose("a substitution over many lines in a here-document")
            else:
                self._expansion(char, quoted=True)
            if char == "\n":
                return
