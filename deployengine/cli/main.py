"""``deployengine``: the commands, and how their errors are told."""

from __future__ import annotations

import os
import sys
import traceback

import click
from redis.exceptions import RedisError

from deployengine.cli.lazy_group import LazyGroup
from deployengine.domain.errors import DeployEngineError
from deployengine.engine.ports import Clock

INTERRUPTED = 130
UNREACHABLE = 3


_WHERE = {
    "apply": "catalog_commands:apply",
    "approve": "people_commands:approve",
    "audit": "audit_commands:audit",
    "batch": "batch_commands:batch",
    "calendar": "calendar_command:calendar",
    "database": "database_commands:database",
    "demo": "demo:demo",
    "deployment": "deployment_commands:deployment",
    "doctor": "doctor:doctor",
    "down": "process_commands:down",
    "flower": "process_commands:flower",
    "guide": "people_commands:guide",
    "housekeeping": "process_commands:housekeeping",
    "import": "import_commands:import_",
    "inbox": "people_commands:inbox",
    "init": "catalog_commands:init",
    "inventory": "inventory_commands:inventory",
    "locks": "wait_commands:locks",
    "machine": "machine_commands:machine",
    "release": "release_commands:release",
    "retention": "retention_commands:retention",
    "secrets": "secrets_commands:secrets",
    "up": "process_commands:up",
    "variable": "variable_commands:variable",
    "why": "wait_commands:why",
    "worker": "process_commands:worker",
}


@click.group(
    cls=LazyGroup,
    where={name: f"deployengine.cli.{where}" for name, where in _WHERE.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="deployengine")
def cli() -> None:
    """Deploy many releases at once to the same machines, safely and fast.

    Start with:  deployengine demo
    """


def main(arguments: list[str] | None = None, clock: Clock | None = None) -> None:
    """Runs a command by that clock and exits with its code; see the interface for the codes."""
    sys.exit(_run(arguments, clock))


def _run(arguments: list[str] | None, clock: Clock | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given or bool(os.environ.get("DEPLOYENGINE_DEBUG"))
    for word in given:
        if not _is_text(word):
            return _told(f"{word!a} is no text in UTF-8", 2, debug=False)
    try:
        result = cli.main(given, prog_name="deployengine", standalone_mode=False, obj=clock)
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        return _told(_usage(error), error.exit_code, debug)
    except DeployEngineError as error:
        return _told(str(error), error.exit_code, debug)
    except RedisError as error:
        text = f"cannot reach Redis: {error}; check DEPLOYENGINE_REDIS_URL and that it runs"
        return _told(text, UNREACHABLE, debug)
    except BrokenPipeError:
        # Who read our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        # Its own words stay out: nobody has looked whether a secret is in them.
        text = f"a fault of deployengine itself ({type(error).__name__}); --debug shows where"
        return _told(text, 1, debug)


def _is_text(word: str) -> bool:
    """Whether the word came in as text: no file, table or message could hold it else."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _usage(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()}\ntry: {error.ctx.command_path} --help"
    return error.format_message()


def _told(text: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(text, err=True)
    return code
