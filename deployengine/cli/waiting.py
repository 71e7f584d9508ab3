"""Options of commands that may wait for the end of what they begin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def needs_wait(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """The callback of an option that says something only where the command waits."""
    if value is not None and not context.params.get("wait"):
        raise click.UsageError(f"{option.opts[0]} needs --wait", context)
    if isinstance(value, float) and math.isnan(value):
        raise click.BadParameter("nan is no time", context, option)
    return value


def waiting_options(wait: str = "Wait for the end; exit 1 unless it succeeds.") -> Callable[[F], F]:
    """``--wait``, with this help, and ``--timeout``."""

    def decorate(function: F) -> F:
        function = click.option(
            "--timeout",
            type=click.FloatRange(min=0),
            callback=needs_wait,
            help="Give up waiting after SECONDS.",
        )(function)
        # Eager, so that it is known when the others are looked at.
        return click.option("--wait", is_flag=True, is_eager=True, help=wait)(function)

    return decorate
