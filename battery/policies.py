"""What the steps of each project say, as the battery itself wrote it into the catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from battery import scenario

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a step says of further attempts, of its turn, and of people.

    Steps of one ``stage`` begin together, each in a ``track`` of its own; the children of a rolling
    group are in one track, through which at most ``window`` machines go at once.
    """

    retries: int
    on_unknown: str
    guided: bool
    stage: int
    track: int
    window: int | None
    manual: bool


def policies() -> Mapping[str, tuple[Policy, ...]]:
    """By project, one for each step, in the order in which deployments have them."""
    return {project["name"]: tuple(_of(project)) for project in scenario.projects()}


def _of(project: Document) -> Iterator[Policy]:
    stage = -1
    for track, step in enumerate(project["process"]):
        stage += step.get("start") != "with_previous"
        rolling = step.get("kind") == "rolling"
        steps: Sequence[Document] = step["steps"] if rolling else [step]
        for each in steps:
            yield Policy(
                retries=each.get("retries", 0),
                on_unknown=each.get("on_unknown", "fail"),
                guided=project.get("guided_failure", False),
                stage=stage,
                track=track,
                window=step.get("max_parallel", 1) if rolling else step.get("max_parallel"),
                manual=each.get("kind") == "manual",
            )
