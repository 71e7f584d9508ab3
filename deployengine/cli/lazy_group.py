"""A group of commands each of which is loaded when it is asked for, as a start should be quick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """``where`` says in which module each command is, and under which name: ``module:name``."""

    def __init__(self, *args: Any, where: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._where = where

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, loaded or not."""
        return sorted({*super().list_commands(ctx), *self._where})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; ``None``: there is none."""
        found = super().get_command(ctx, cmd_name)
        if found is not None or cmd_name not in self._where:
            return found
        module, _, name = self._where[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        self.add_command(command, cmd_name)
        return command


def every_command(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that it is called by; loads them all."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None:
            yield from every_command(found, (*path, name))
