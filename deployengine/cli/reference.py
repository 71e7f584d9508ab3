"""The reference of all commands: ``python -m deployengine.cli.reference > docs/commands.md``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from deployengine.cli.lazy_group import every_command
from deployengine.cli.main import cli

_HEAD = """# Commands

Made by `python -m deployengine.cli.reference`; a test holds it to the program.

Every command also takes `--json` (one document on stdout, talk on stderr), `--debug` (a traceback
where something goes wrong) and `--help`. Ids look like `rel-3`, `dep-17`, `run-1044`; where only a
deployment can be meant, `17` will do. No colour and no live redraw when the output is no terminal
or `NO_COLOR` is set.
"""

#: What every command has is told once.
_COMMON = ("json", "debug", "help")


def reference() -> str:
    """The whole page."""
    return "\n".join(
        [_HEAD, *(line for path, each in every_command(cli) for line in _entry(each, path))]
    )


def _entry(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(command, info_name=" ".join(("deployengine", *path)))
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    yield f"## `{' '.join([str(context.info_name), *pieces])}`\n"
    yield f"{' '.join((command.help or '').split())}\n"
    rows = [
        record
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        and not set(_COMMON) & {name.lstrip("-") for name in parameter.opts}
        and (record := parameter.get_help_record(context)) is not None
    ]
    if rows:
        yield "| option | meaning |\n|---|---|"
        yield from (f"| `{name}` | {' '.join(text.split())} |" for name, text in rows)
        yield ""
    if command.epilog:
        yield f"`{command.epilog.removeprefix('Example:').strip()}`\n"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
