"""``python -m workers slots|control``: what the commands ``worker`` and ``housekeeping`` become."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

from deployengine.domain.errors import DeployEngineError
from deployengine.services import Services
from deployengine.settings import Settings
from workers.monitor import run_flower
from workers.processes import run_control, run_slots


def main() -> int:
    """Runs one process until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m workers")
    kinds = parser.add_subparsers(dest="kind", required=True)
    slots = kinds.add_parser("slots")
    slots.add_argument("--task-cap", type=int)
    slots.add_argument("--no-control", action="store_true")
    slots.add_argument("--until-stdin-closes", action="store_true")
    control = kinds.add_parser("control")
    control.add_argument("--until-stdin-closes", action="store_true")
    flower = kinds.add_parser("flower")
    flower.add_argument("--address", required=True)
    flower.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    if arguments.kind == "flower":
        return run_flower(arguments.address, arguments.port)
    try:
        settings = Settings.read(os.environ, Path.cwd())
        if getattr(arguments, "task_cap", None):
            settings = replace(settings, task_cap=arguments.task_cap)
        logging.basicConfig(
            level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        # Celery sets the level of all loggers to its own later on, which is WARNING; not this one.
        logging.getLogger("deployengine").setLevel(settings.log_level)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with Services.open(settings) as services:
            if arguments.kind == "control":
                return run_control(services, until_stdin_closes=arguments.until_stdin_closes)
            return run_slots(
                services,
                with_control=not arguments.no_control,
                until_stdin_closes=arguments.until_stdin_closes,
            )
    except DeployEngineError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
