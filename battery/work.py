"""Work for the engine while it is under fire: batches, releases, deployments, cancels, answers.

A project gets its next release only when the one before has come to rest, so that none is held
back in favour of a newer one and every release has to reach the last environment, and when machines
have caught up with it, so that they do. Hasty projects do not wait: their releases may be
superseded, overtaken, or brought along by the next.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from battery import scenario
from battery.answering import ASKED, Answering
from battery.command import Command
from battery.house import House
from battery.ledger import Request

OPEN = ("queued", "running", "paused")

STATES = "select release_id, project, version, environment, state from deployment order by id"
RUNNING = """
select d.id, (select count(*) from step_run r where r.deployment_id = d.id and r.state = 'running')
from deployment d where d.state in ('queued', 'running') order by d.id
"""
#: Projects that machines have yet to catch up with, where it is known what that is.
MISSED = """
select distinct d.project from absence a join deployment d on d.id = a.deployment_id
where 'succeeded' = (
    select l.state from deployment l
    where l.project = d.project and l.environment = d.environment and l.started_at is not null
    and coalesce(l.requested_by, '') <> 'deployengine'
    order by l.started_at desc, l.id desc limit 1
)
"""
#: Who has ended meanwhile cannot be moved.
ENDED = " has ended: "
#: Seconds from now at which a deployment is to begin.
LATER = "+1.5s"


class Work:
    """Gives the engine something to do, and knows what it gave."""

    def __init__(
        self,
        house: House,
        dice: random.Random,
        projects: Sequence[str] = (),
        width: int = 6,
    ) -> None:
        self._house = house
        self._dice = dice
        self._width = width
        self._versions: dict[str, int] = dict.fromkeys(projects or scenario.project_names(), 0)
        self._answering = Answering(house, dice, self._ask)
        self._under_way: list[tuple[Command, Request]] = []
        self._batches: list[str] = []
        #: Releases that the engine has accepted, or will: (project, version).
        self.given: dict[tuple[str, str], Command] = {}
        self.cancels: dict[int, Command] = {}
        self.cancelled_batches: dict[str, Command] = {}
        self._schedules = list(scenario.SCHEDULES)
        self._mode: Command | None = None

    def at_rest(self) -> set[tuple[str, str]]:
        """The releases, of those given, that move no more."""
        latest = self._states()
        cut_short = self.cancelled_releases() | self._overtaken()
        return {
            given
            for given in self.given
            if _rests(latest.get(given, {}), cut_short=given in cut_short)
        }

    def _states(self) -> dict[tuple[str, str], dict[str, str]]:
        """Of each release, that of its latest deployment in each environment."""
        latest: dict[tuple[str, str], dict[str, str]] = {}
        for _, project, version, environment, state in self._house.database.rows(STATES):
            latest.setdefault((project, version), {})[environment] = state
        return latest

    def comes(self, project: str) -> bool:
        """Whether a release of the project is about to come to the last environment."""
        return any(
            states.get(scenario.BEFORE_LAST) in OPEN
            for (name, _), states in self._states().items()
            if name == project
        )

    def all_done(self) -> bool:
        """Whether everything that was given has come to rest, and nobody is asked anything."""
        self._note_ends()
        return (
            all(command.done for command in self._house.commands)
            and self.given.keys() <= self.at_rest()
            and not self._house.database.rows(ASKED)
            and not self._house.database.rows(MISSED)
        )

    def answer(self) -> None:
        """Answers what is asked."""
        self._note_ends()
        self._answering.tend()

    def more(self) -> None:
        """Gives the next batch if few releases are under way."""
        resting = self.at_rest()
        busy = {
            project
            for (project, version), command in self.given.items()
            if (project, version) not in resting
            # Of two releases the later one is the newer, so the first must be there.
            and not (project in scenario.HASTY and command.done)
        }
        missed = {project for (project,) in self._house.database.rows(MISSED)}
        waiting = busy | (missed - set(scenario.HASTY))
        idle = [project for project in self._versions if project not in waiting]
        if len(busy) >= self._width or not idle:
            return
        self._dice.shuffle(idle)
        idle.sort(key=lambda project: self._versions[project])
        self._give(idle[: self._width])

    def _give(self, projects: list[str]) -> None:
        rows = [(project, self._next(project)) for project in projects]
        if self._dice.random() < 0.4:
            alone = rows.pop()
            self.given[alone] = self._house.command("release", "create", *alone)
        if not rows:
            return
        name = f"batch-{len(self._batches) + 1}"
        file = self._house.root / f"{name}.csv"
        file.write_text("project,version\n" + "".join(f"{p},{v}\n" for p, v in rows))
        command = self._house.command("batch", "run", str(file), "--name", name)
        self._batches.append(name)
        self.given.update(dict.fromkeys(rows, command))

    def _next(self, project: str) -> str:
        self._versions[project] += 1
        return f"{self._versions[project]}.0"

    def _ask(
        self, *words: str, refusals: Sequence[str] = (), after: Command | None = None
    ) -> Command:
        """Gives a command and puts it on record; a refusal must be one of these to the letter."""
        command = self._house.command(*words, accepted=refusals, after=after)
        self._under_way.append((command, self._house.ledger.asked(*words)))
        return command

    def _note_ends(self) -> None:
        for asked in list(self._under_way):
            command, request = asked
            if command.done:
                child = command.process.child
                request.ended = time.time()
                request.code = child.returncode if child else None
                self._under_way.remove(asked)

    def cancel_one(self) -> str | None:
        """Cancels a deployment that is under way; says which."""
        found = self._house.database.rows(RUNNING)
        left = [(number, runs) for number, runs in found if number not in self.cancels]
        if not left:
            return None
        # Mostly one whose scripts run: there is more to be ended.
        busy = [number for number, runs in left if runs]
        with_scripts = bool(busy) and self._dice.random() < 0.8
        number = self._dice.choice(busy if with_scripts else [number for number, _ in left])
        self.cancels[number] = self._ask("deployment", "cancel", f"dep-{number}")
        return f"dep-{number}"

    def cancel_batch(self) -> str | None:
        """Cancels the newest batch that the engine has accepted; says which."""
        for name in reversed(self._batches):
            done = [c for c in self.given.values() if c.done and name in c.process.words]
            if done and name not in self.cancelled_batches:
                self.cancelled_batches[name] = self._ask("batch", "cancel", name)
                return name
        return None

    def deploy_again(self) -> str | None:
        """Deploys once more, by hand, what has come to its end; says what."""
        whole = self._at_their_end()
        if not whole:
            return None
        project, version = self._dice.choice(whole)
        words = ["release", "deploy", project, version, "QA"]
        if project == scenario.FROZEN and self._dice.random() < 0.5:
            words += ["--override-freeze", "it must be"]
        self._ask(*words, refusals=("QA is frozen by ",))
        return f"{project} {version}"

    def deploy_later(self) -> str | None:
        """The same at a time that is named."""
        whole = self._at_their_end()
        if not whole:
            return None
        project, version = self._dice.choice(whole)
        self._ask("release", "deploy", project, version, "QA", "--at", LATER)
        return f"{project} {version} {LATER}"

    def _at_their_end(self) -> list[tuple[str, str]]:
        """The newest releases, of those that came to rest."""
        resting = self.at_rest()
        return sorted(
            (project, version)
            for (project, version), command in self.given.items()
            if command.done
            and (project, version) in resting
            and self._versions[project] == int(float(version))
        )

    def move_to_top(self) -> str | None:
        """Puts a deployment that is under way before all others; says which."""
        return self._reorder("top")

    def prioritise(self) -> str | None:
        """Gives a deployment that is under way another priority; says which."""
        return self._reorder("prioritise", str(self._dice.choice((1, 2, 3))))

    def _reorder(self, how: str, *words: str) -> str | None:
        found = self._house.database.rows(RUNNING)
        if not found:
            return None
        name = f"dep-{self._dice.choice(found)[0]}"
        self._ask("deployment", how, name, *words, refusals=(f"{name}{ENDED}",))
        return name

    def change_keys(self) -> str:
        """Takes a new master key into use, and seals everything anew."""
        self._house.command("secrets", "rotate")
        return "a new master key"

    def block(self) -> str | None:
        """Keeps a release that has come through from going further; says which."""
        states = self._states()
        through = [
            given
            for given in self._at_their_end()
            if all(states[given].get(stage) == "succeeded" for stage in scenario.STAGES)
        ]
        if not through:
            return None
        project, version = self._dice.choice(through)
        self._house.command("release", "block", project, version, "--reason", "it has a fault")
        return f"{project} {version}"

    def drain(self) -> str:
        """Takes a machine out of use; says which."""
        self._set_mode("drain")
        return scenario.DRAINED

    def enable(self) -> None:
        """Takes it into use again."""
        self._set_mode("enable")

    def _set_mode(self, how: str) -> None:
        """The one after the other: the last command shall have the last word."""
        self._mode = self._ask("machine", how, scenario.DRAINED, after=self._mode)

    def apply_again(self) -> str:
        """Applies the catalog again, which changes nothing."""
        self._house.command("apply", str(self._house.catalog))
        return "catalog"

    def apply_another(self) -> str:
        """Applies the catalog with its schedule under another name."""
        self._schedules.reverse()
        self._apply(f"catalog-{self._schedules[0]}.yaml", self._schedules[0])
        return self._schedules[0]

    def end_schedules(self) -> None:
        """Applies the catalog without its schedule, which would go on beyond any rest."""
        self._apply("catalog-at-the-end.yaml")

    def _apply(self, file: str, *schedules: str) -> None:
        house = self._house
        house.catalog = house.root / file
        house.write_catalog(*schedules)
        self.apply_again()

    def _overtaken(self) -> set[tuple[str, str]]:
        """The releases of hasty projects that are not the newest."""
        return {
            (project, version)
            for project, version in self.given
            if project in scenario.HASTY and self._versions[project] > int(float(version))
        }

    def cancelled_releases(self) -> set[tuple[str, str]]:
        """The releases of batches that were cancelled."""
        return {
            given
            for given, command in self.given.items()
            if set(command.process.words) & self.cancelled_batches.keys()
        }


def _rests(states: dict[str, str], *, cut_short: bool) -> bool:
    if not states or any(state in OPEN for state in states.values()):
        return False
    if cut_short or any(state != "succeeded" for state in states.values()):
        return True
    return states.keys() >= scenario.STAGES.keys()
