"""What every command has at hand: services, and one way to answer."""

from __future__ import annotations

import functools
import getpass
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TextIO, TypeVar

import click
from rich.console import Console

from deployengine.domain.errors import RequestError
from deployengine.engine.ports import Clock
from deployengine.services import Services
from deployengine.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


#: Columns off a terminal.
WIDE = 1000

#: Names who gives commands where that is another than the operating system's user.
USER_VARIABLE = "DEPLOYENGINE_USER"
LONGEST_NAME = 255

#: How many lines a list may be asked for; the databases count no further than to some trillions.
LIMIT = click.IntRange(1, 1_000_000_000)


class Session:
    """One command's run: answers go to stdout, progress and talk to stderr.

    With ``--json`` stdout gets one document and nothing else. Colour only on a terminal, and not
    when ``NO_COLOR`` is set.
    """

    def __init__(
        self, *, as_json: bool, settings: Settings | None = None, clock: Clock | None = None
    ) -> None:
        self.as_json = as_json
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr)
        self._settings = settings
        self._clock = clock
        self._services: Services | None = None
        self._stack = ExitStack()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        if self._settings is None:
            self._settings = Settings.read(os.environ, Path.cwd())
        return self._settings

    @property
    def user(self) -> str:
        """Who gives the command: ``DEPLOYENGINE_USER``, else as the operating system has it.

        A claim and no proof, as whoever may give commands may set either.
        Raises :class:`RequestError` for a name that cannot be kept.
        """
        named = os.environ.get(USER_VARIABLE, "").strip()
        if named:
            if len(named) > LONGEST_NAME or not named.isprintable():
                raise RequestError(
                    f"{USER_VARIABLE} is no name", None, "write at most 255 printable characters"
                )
            return named
        try:
            return getpass.getuser()
        except (OSError, KeyError):  # there is no name, as for some users of containers
            return f"user {os.getuid()}"

    @property
    def services(self) -> Services:
        """Ready services; opened when a command first needs them."""
        if self._services is None:
            self._services = self._stack.enter_context(Services.open(self.settings, self._clock))
        return self._services

    def answer(self, document: Any, show: Callable[[Console], None]) -> None:
        """The command's result: the document, or what ``show`` prints for people."""
        if self.as_json:
            json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
            sys.stdout.write("\n")
        else:
            show(self.out)

    def say(self, text: str) -> None:
        """Talk that is no result."""
        self.err.print(text, markup=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes what was opened."""
        self._stack.close()


def _console(file: TextIO) -> Console:
    """Off a terminal nothing is cut or wrapped: who reads a pipe wants whole lines."""
    if file.isatty():
        return Console(file=file, highlight=False)
    return Console(file=file, highlight=False, soft_wrap=True, width=WIDE)


def command(function: Callable[Concatenate[Session, P], R]) -> Callable[..., R]:
    """Gives a command its session and the options that all commands have."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    @click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
    @functools.wraps(function)
    def call(*args: Any, as_json: bool, debug: bool, **given: Any) -> R:
        del debug  # read by main, which is where errors end up
        context = click.get_current_context()
        session = Session(as_json=as_json, clock=context.obj)
        context.call_on_close(session.close)
        return function(session, *args, **given)

    return call
