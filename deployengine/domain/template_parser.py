"""Reads a text with ``#{…}`` in it into a template.

===================================================  ==============================================
``#{Name}``, ``#{Name | Filter option "option"}``    a value, changed by filters from left to right
``#{A[#{B}].C}``                                     a name that is made with another value
``#{if Name}…#{elseif Name}…#{else}…#{/if}``         one of several texts
``#{unless Name}…#{else}…#{/unless}``                the same the other way round
``#{if Name == "x"}``, ``!=``                        two values or texts compared
``#{each item in Name}…#{/each}``                    a text for each of many
``##{``                                              the signs ``#{`` themselves
===================================================  ==============================================

What stands between the braces stands on one line, so that a brace that was forgotten is told where
it is missing. An option is a word, a text in ``"…"`` or ``\\"…\\"``, or a ``#{…}`` of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import NoReturn

from deployengine.domain import filters
from deployengine.domain.cursor import Cursor
from deployengine.domain.template import (
    Call,
    Choice,
    Condition,
    Loop,
    Operand,
    Part,
    Reference,
    Template,
)

_MARK = re.compile(r"##\{|#\{")
_SPACE = re.compile(r"[^\S\n]*")
_OPENING = re.compile(r"#\{[^\S\n]*(?P<word>if|unless|each|elseif|calc)[^\S\n]+", re.IGNORECASE)
_CLOSING = re.compile(r"#\{[^\S\n]*(?P<word>else|/if|/unless|/each)[^\S\n]*\}", re.IGNORECASE)
_EACH = re.compile(r"(?P<item>[^\W\d]\w*)[^\S\n]+in[^\S\n]+", re.IGNORECASE)
_NAME = re.compile(r"(?:(?!==|!=|#\{)[^{}|\"\n`])+")
_FILTER = re.compile(r"[^\s|{}\"`]+")
_WORD = re.compile(r"(?:(?!==|!=|#\{|\\\")[^\s|{}\"'`])+")
_QUOTED = re.compile(r"\"(?P<plain>[^\"\n]*)\"|\\\"(?P<escaped>.*?)\\\"")
_SIGN = re.compile(r"==|!=")
_BAR = re.compile(r"\|")
_BRACE = re.compile(r"\}")


def parse(text: str, hidden: bool = False) -> Template:
    """The template that a text is; ``hidden`` keeps the text out of error messages.

    Raises :class:`BadReference`, with the line of the text.
    """
    if "#{" not in text:
        return (text,) if text else ()
    return _Parser(text, hidden).parts("", 0) if hidden else _known(text)


@lru_cache(maxsize=1024)  # the same texts are read for each machine; secrets are not kept
def _known(text: str) -> Template:
    return _Parser(text, hidden=False).parts("", 0)


class _Parser(Cursor):
    """Reads the parts of one text; ``start`` is always the ``#{`` that an error is told of."""

    def parts(self, block: str, start: int) -> Template:
        """The parts up to the tag that ends this text of the block, or to the end of all."""
        found: list[Part] = []
        while (mark := _MARK.search(self.text, self.at)) is not None:
            found.append(self.text[self.at : mark.start()])
            self.at = mark.start()
            if mark.group() == "##{":
                found.append("#{")
                self.at = mark.end()
            elif self.ended(block):
                break
            else:
                found.append(self.part())
        else:
            if block:
                self.fail(start, "has no end", f"write #{{/{block}}} where it ends")
            found.append(self.text[self.at :])
        return tuple(part for part in found if part != "")

    def ended(self, block: str) -> bool:
        """Whether a tag stands here that ends a text of the block."""
        tag = _CLOSING.match(self.text, self.at) or _OPENING.match(self.text, self.at)
        word = tag["word"].casefold() if tag else ""
        if word not in ("else", "elseif", "/if", "/unless", "/each"):
            return False
        lawful = {"if": ("else", "elseif", "/if"), "unless": ("else", "/unless")}
        if word not in lawful.get(block, (f"/{block}",)):
            due = f"#{{/{block}}} is due" if block else "nothing is open"
            self.fail(self.at, f"stands where {due}")
        return True

    def part(self) -> Reference | Choice | Loop:
        """What begins at this ``#{``."""
        start = self.at
        opening = _OPENING.match(self.text, start)
        with self.deeper(start):
            if opening is None:
                return self.reference(start)
            self.at = opening.end()
            word = opening["word"].casefold()
            if word == "each":
                return self.loop(start)
            if word == "calc":
                self.fail(start, "calculates, which is left to scripts here")
            return self.choice(start, word)

    # Blocks.

    def choice(self, start: int, block: str) -> Choice:
        branches = [(self.condition(start), self.parts(block, start))]
        while opening := _OPENING.match(self.text, self.at):
            at, self.at = self.at, opening.end()
            branches.append((self.condition(at), self.parts(block, start)))
        otherwise: Template = ()
        if self.closing() == "else":
            otherwise = self.parts(block, start)
            at = self.at
            if self.closing() != f"/{block}":
                self.fail(at, f"stands behind #{{else}}, where #{{/{block}}} is due")
        if block == "unless":
            condition, text = branches[0]
            return Choice(((condition, otherwise),), text)
        return Choice(tuple(branches), otherwise)

    def loop(self, start: int) -> Loop:
        each = _EACH.match(self.text, self.at)
        if each is None:
            self.fail(start, "is no loop", "write #{each item in Name}")
        self.at = each.end()
        collection = self.expression(start)
        self.brace(start)
        body = self.parts("each", start)
        self.closing()
        return Loop(each["item"], collection, body)

    def closing(self) -> str:
        tag = _CLOSING.match(self.text, self.at)
        if tag is None:
            return ""
        self.at = tag.end()
        return tag["word"].casefold()

    def condition(self, start: int) -> Condition:
        left = self.operand(start)
        self.take(_SPACE)
        sign = self.take(_SIGN)
        condition = Condition(left, sign, self.operand(start)) if sign else Condition(left)
        self.brace(start)
        return condition

    def operand(self, start: int) -> Operand:
        self.take(_SPACE)
        text = self.quoted(start)
        return self.expression(start) if text is None else text

    # References.

    def reference(self, start: int) -> Reference:
        self.at = start + len("#{")
        found = self.expression(start)
        self.brace(start)
        return replace(found, source=self.text[start : self.at])

    def expression(self, start: int) -> Reference:
        """A name and its filters."""
        self.take(_SPACE)
        begin = self.at
        name = self.name(start)
        calls: list[Call] = []
        raw = False
        while self.take(_BAR):
            self.take(_SPACE)
            word = self.take(_FILTER)
            if not word:
                self.fail(start, "names no filter behind |")
            call = Call(word, self.options(start))
            if word.casefold() != "raw":
                self.check(start, call)
                calls.append(call)
            elif call.options:
                self.fail(start, "gives an option to raw, which takes none")
            else:
                raw = True
        words = self.text[begin : self.at].strip()
        line = self.text.count("\n", 0, start) + 1
        return Reference(name, tuple(calls), raw, words, words, start, line)

    def name(self, start: int) -> tuple[str | Reference, ...]:
        found: list[str | Reference] = []
        while piece := self.take(_NAME):
            found.append(piece)
            if not piece.endswith("[") or not self.text.startswith("#{", self.at):
                break
            with self.deeper(start):
                found.append(self.reference(self.at))
            if not self.text.startswith("]", self.at):
                self.fail(start, "has a bracket that is not closed")
        if found and isinstance(found[-1], str):
            found[-1] = found[-1].rstrip()
        if not any(found):
            self.nameless(start)
        return tuple(found)

    def nameless(self, start: int) -> NoReturn:
        """Octopus has filters that need no value; who looks for one of them is told of it."""
        if self.take(_BAR):
            self.take(_SPACE)
            word = self.take(_FILTER)
            if word.casefold() in filters.LEFT_OUT:
                self.check(start, Call(word, ()))
        self.fail(start, "names no variable")

    def options(self, start: int) -> tuple[Part, ...]:
        found: list[Part] = []
        while True:
            self.take(_SPACE)
            option: Part | None = self.quoted(start)
            if option is None and self.text.startswith("#{", self.at):
                option = self.part()
            option = self.take(_WORD) or None if option is None else option
            if option is None:
                self.no_quote(start)
                return tuple(found)
            found.append(option)

    def quoted(self, start: int) -> str | None:
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            return None
        if found["plain"] and "#{" in found["plain"]:
            self.fail(start, "has a #{ within quotes", "write it without the quotes")
        self.at = found.end()
        return found["plain"] or found["escaped"] or ""

    def check(self, start: int, call: Call) -> None:
        """That there is such a filter and that it takes these options, as far as they are known."""
        known = [option if isinstance(option, str) else None for option in call.options]
        try:
            filters.check(call.filter, known)
        except (filters.BadFilter, filters.BadOption) as wrong:
            if self.hidden:
                self.fail(start, "has a filter that it cannot have")
            advice = wrong.advice if isinstance(wrong, filters.BadFilter) else None
            self.fail(start, f"asks for the filter {call.filter}, but {wrong}", advice)

    def brace(self, start: int) -> None:
        """The closing brace."""
        self.take(_SPACE)
        if self.take(_BRACE):
            return
        rest = self.text[self.at : self.at + 2]
        if rest in ("==", "!="):
            self.fail(start, "compares, which only #{if …} and #{unless …} can")
        self.no_quote(start)
        self.fail(start, "is not closed by a brace on its line, or holds another one")

    def no_quote(self, start: int) -> None:
        """That no quote stands here which begins no text."""
        if self.text[self.at : self.at + 1] in ('"', "'", "\\"):
            self.fail(
                start, "has a quote that begins no text", 'texts stand in "…" behind a filter'
            )
