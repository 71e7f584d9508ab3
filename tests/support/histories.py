"""Histories: a catalog drawn at random, moves drawn at random, and what must be true after each.

Nothing runs here by itself: each message, end of a script, look of housekeeping, answer, cancel and
loss is a move, so that one seed is one history, whatever the machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from deployengine.domain.availability import MachineMode
from deployengine.domain.deployment import DeploymentState, RunState
from deployengine.domain.errors import RequestError, Unreachable
from deployengine.domain.project import Hook
from deployengine.engine.claims import Claimed, Relinquished
from deployengine.engine.endings import Outcome
from deployengine.engine.history import begun, current
from deployengine.engine.intake import Terms
from deployengine.engine.questions import CHOICES, asks_for
from deployengine.engine.releases import Wanted
from deployengine.persistence import Transaction
from deployengine.persistence.records import IGNORED, DeploymentRecord, RunRecord
from deployengine.steps.errors import MachineUnreachable
from tests.acceptance.catalogs import bypassing, catalog, machine, project
from tests.support.fakes import away
from tests.support.machines import NetworkedHouse

#: Deployments of one history at most.
MOST = 14
#: Rounds in which a history has to come to rest once nobody disturbs it.
ROUNDS = 400
#: Writes whose answer may get lost.
UNANSWERED = (
    *("deploy", "release", "begin", "open", "finish", "end", "cancel", "answer", "claim", "due"),
    *("recall", "reorder", "aside", "health", "machine", "catch-up"),
)
BAD = (RunState.FAILED, RunState.CANCELLED, RunState.UNKNOWN)


# ---- what there is ----


def drawn_catalog(dice: random.Random) -> dict[str, Any]:
    """Up to three projects with anything that a process may hold, on a few machines."""
    roles = ["web", "db"]
    machines = [
        machine(
            f"q-{n}",
            "QA",
            roles=[dice.choice(roles)],
            **({"max_concurrent": 1} if dice.random() < 0.15 else {}),
        )
        for n in range(dice.randint(1, 3))
    ]
    machines += [machine(f"s-{n}", "S", roles=roles) for n in range(dice.randint(1, 2))]
    share = {"share": 2} if dice.random() < 0.2 else {}
    phases = [{"name": name, "automatic": [name]} for name in ("QA", "S")]
    return catalog(
        *(_project(dice, name) for name in ("a", "b", "c")[: dice.randint(1, 3)]),
        environments=["QA", {"name": "S", **share}],
        machines=machines,
        lifecycles=[{"name": "auto", "phases": phases}],
    )


def _project(dice: random.Random, name: str) -> dict[str, Any]:
    options: list[tuple[float, dict[str, Any]]] = [
        (0.3, {"mutex": "deployment"}),
        (0.3, {"supersede": True}),
        (0.4, {"guided_failure": True}),
        (0.2, {"share": dice.choice([1, 2])}),
        (0.2, {"variables": [bypassing("True")]}),
        (0.6, {"unavailable_machines": dice.choice(["skip", "wait"])}),
    ]
    chosen = {k: v for often, more in options if dice.random() < often for k, v in more.items()}
    return project(name, process=_process(dice), **chosen)


def _process(dice: random.Random) -> list[dict[str, Any]]:
    steps = []
    for number in range(dice.randint(1, 4)):
        kind = dice.choices(["rolling", "manual", "script"], [25, 20, 55])[0]
        if kind == "rolling":
            step = _group(dice, number)
        elif kind == "manual":
            step = {"instructions": "look", "keep_tag": dice.random() < 0.4}
        else:
            step = _script(dice) | {"name": f"S{number}"}
            if dice.random() < 0.25:
                step["max_parallel"] = dice.choice([1, 2])
        step = {"name": f"{kind}-{number}", **step, "kind": kind}
        if kind != "manual" and dice.random() < 0.3:
            step["roles"] = [dice.choice(["web", "db"])]
        if number and dice.random() < 0.35:
            step["start"] = "with_previous"
        steps.append(step)
    return steps


def _group(dice: random.Random, number: int) -> dict[str, Any]:
    group: dict[str, Any] = {
        "on_failure": dice.choice(["stop", "exclude"]),
        "steps": [_script(dice) | {"name": f"C{number}{n}"} for n in range(dice.randint(1, 2))],
    }
    if dice.random() < 0.3:
        group["ramp"] = dice.choice([[1], [1, 1], ["50%"]])
    if "ramp" not in group or dice.random() < 0.5:
        group["max_parallel"] = dice.choice([1, 2])
    if group["on_failure"] == "exclude" and dice.random() < 0.4:
        group["max_failures"] = dice.choice([1, 2, "50%"])
    for hook in ("before", "after"):
        if dice.random() < 0.4:
            group[hook] = _script(dice)
            del group[hook]["condition"]
    if "after" in group:
        group["after"]["always"] = dice.random() < 0.4
    return group


def _script(dice: random.Random) -> dict[str, Any]:
    step: dict[str, Any] = {"script": "true\n", "condition": "success"}
    if dice.random() < 0.2:
        step["runs_on"] = dice.choice(["q-0", "s-0"])
    if dice.random() < 0.3:
        step["retries"] = dice.choice([1, 2])
        if dice.random() < 0.5:
            step["backoff"] = dice.choice([5, 60])
    if dice.random() < 0.3:
        shared = {"resource": "y", "mode": "shared"}
        step["touches"] = [dice.choice(["x", shared, {"resource": "db", "everywhere": True}])]
    if dice.random() < 0.3:
        step["condition"] = dice.choice(["failure", "always"])
    return step


# ---- what happens ----


class History:
    """One house and its dice; ``told`` is what has happened, for who looks into a failure.

    With ``faults`` Redis is away at times, and answers of the database get lost.
    """

    def __init__(self, house: NetworkedHouse, seed: int, *, faults: bool) -> None:
        self._house = house
        self._dice = random.Random(seed)
        self._faults = faults
        self._running: dict[int, Claimed] = {}
        self._versions = 0
        self.told: list[str] = []
        document = drawn_catalog(self._dice)
        house.apply(document)
        self._names = [each["name"] for each in document["projects"]]
        self._machines = [each["name"] for each in document["machines"]]
        self._moves: dict[Callable[[], None], float] = {
            self._take: 30,
            self._end: 25,
            self._link: 40,
            self._housekeeping: 10,
            self._answer: 10,
            self._create: 5,
            self._deploy: 3,
            self._cancel: 1.5,
            self._cancel_run: 2,
            self._to_the_top: 2,
            self._prioritise: 2,
            self._retry: 2,
            self._catch_up: 1,
            self._roll_back: 1,
            self._machine_goes: 2,
            self._machine_comes: 3,
            self._look_at_machines: 6,
            self._set_mode: 3,
            self._lose_redis: 1,
            self._lose_messages: 2,
            self._repeat_messages: 3,
        }

    def go(self) -> None:
        """Moves at random, then lets it come to rest, and looks that all is well."""
        for _ in range(self._dice.randint(40, 200)):
            self._move()
            self._check()
        self._house.database.unanswered.clear()
        self._come_to_rest()
        self._check_rest()

    def _move(self) -> None:
        (move,) = self._dice.choices(list(self._moves), list(self._moves.values()))
        lost = self._house.database.unanswered
        try:
            if self._faults and not lost and self._dice.random() < 0.12:
                lost.append(self._dice.choice(UNANSWERED))
                self._say(f"the answer to {lost[0]} will be lost")
            if self._faults and move != self._lose_redis and self._dice.random() < 0.05:
                self._say("Redis is away")
                with away(self._house.redis):
                    move()
            else:
                move()
        except RequestError as refused:
            self._say(f"  refused: {refused}")
        except Unreachable as error:
            self._say(f"  {error}")

    def _say(self, text: str) -> None:
        self.told.append(text)

    # what carries it on

    def _take(self) -> None:
        granted = self._house.dispatcher.granted
        if granted:
            run = granted.pop(self._dice.randrange(len(granted)))
            claims = self._house.step_runs.claims
            self._say(f"a worker takes run-{run.run_id}")
            if claimed := claims.claim(run.run_id, run.granted_at, "somebody"):
                self._begin(claimed)

    def _begin(self, claimed: Claimed) -> None:
        """As a worker does, which begins nothing where nothing is to begin."""
        number, name = claimed.run.id, claimed.machine.name
        with self._house.database.read() as tx:
            disabled = tx.machines.get(name).mode is MachineMode.DISABLED
        assert claimed.obstacle or not disabled, f"run-{number} is let begin on {name}"
        absence = self._house.step_runs._absence
        try:
            if claimed.obstacle is not None:
                self._say(f"  it is turned away: {claimed.obstacle.said}")
                absence.turn_away(claimed, claimed.obstacle)
                return
            try:
                self._house.network.reach(name)
            except MachineUnreachable as error:
                self._say(f"  {error}")
                absence.met(claimed, str(error))
                return
        except Relinquished:
            return
        self._running[number] = claimed

    def _end(self, well: float = 0.75) -> None:
        if not self._running:
            return
        number = self._dice.choice(list(self._running))
        claimed = self._running.pop(number)
        outcome = Outcome(RunState.SUCCEEDED, 0)
        if self._house.queries.run(number).cancel_requested_at:
            outcome = Outcome(RunState.CANCELLED)
        elif self._dice.random() >= well:
            outcome = Outcome(RunState.FAILED, 1)
        self._say(f"run-{number} ends: {outcome.state}")
        self._house.step_runs._endings.conclude(claimed, outcome)

    def _link(self) -> None:
        chains = self._house.dispatcher.chains
        if chains:
            links = chains.pop(self._dice.randrange(len(chains)))
            self._say(f"links: {[(link.kind.value, link.deployment_id) for link in links]}")
            self._house.carry(links)

    def _housekeeping(self, seconds: float | None = None) -> None:
        self._say("housekeeping")
        self._house.clock.advance(seconds or self._dice.choice([1, 5, 70]))
        self._house.recovery.sweep()
        self._house.calendar.look()

    def _answer(self) -> None:
        if asked := self._house.queries.inbox():
            run = self._dice.choice(asked).run
            answer = self._dice.choice(CHOICES[asks_for(run)])
            self._say(f"run-{run.id} is answered: {answer}")
            self._house.answers.answer(run.id, answer, "ann", over_newer=self._dice.random() < 0.5)

    # what people do

    def _create(self) -> None:
        if self._versions < 6:
            self._versions += 1
            wanted = Wanted(self._dice.choice(self._names), f"{self._versions}.0")
            self._say(f"{wanted.project} {wanted.version} is created")
            self._house.releases.create(wanted)

    def _deploy(self) -> None:
        if like := self._one(ended=None, room=True):
            soon = self._house.clock.now() + timedelta(seconds=30)
            terms = Terms(
                priority=self._dice.choice([None, None, 2, -1]),
                guided=self._dice.choice([None, True]),
                not_before=soon if self._dice.random() < 0.2 else None,
            )
            self._say(f"{like.project} {like.version} is deployed to {like.environment}")
            self._house.deployments.deploy(like.project, like.version, like.environment, terms)

    def _cancel(self) -> None:
        if found := self._one():
            self._say(f"dep-{found.id} is cancelled")
            self._house.deployments.cancel(found.id)

    def _cancel_run(self) -> None:
        if (found := self._one()) and (runs := self._house.detail(found.id).runs):
            run = self._dice.choice(runs)
            self._say(f"run-{run.id} is cancelled")
            self._house.deployments.cancel_run(run.id)

    def _to_the_top(self) -> None:
        if found := self._one():
            self._say(f"dep-{found.id} is put at the top")
            self._house.order.move_to_top(found.id)

    def _prioritise(self) -> None:
        if found := self._one():
            priority = self._dice.randint(-5, 5)
            self._say(f"dep-{found.id} gets priority {priority}")
            self._house.order.prioritise(found.id, priority)

    def _retry(self) -> None:
        if found := self._one(ended=True, room=True):
            self._say(f"dep-{found.id} is tried again")
            self._house.again.retry(found.id, Terms())

    def _catch_up(self) -> None:
        if found := self._one(ended=True, room=True):
            self._say(f"{found.project} {found.version} catches up in {found.environment}")
            place = (found.project, found.version, found.environment)
            self._house.again.catch_up(*place, Terms())

    def _roll_back(self) -> None:
        name = self._dice.choice(self._names)
        self._say(f"{name} is rolled back")
        self._house.again.roll_back(name, "QA", None, Terms())

    def _one(self, *, ended: bool | None = False, room: bool = False) -> DeploymentRecord | None:
        """Some deployment; with ``room`` none once there are many."""
        every = self._house.queries.deployments()
        found = [d for d in every if ended is None or d.state.final is ended]
        if not found or (room and len(every) >= MOST):
            return None
        return self._dice.choice(found)

    def _set_mode(self) -> None:
        name, mode = self._dice.choice(self._machines), self._dice.choice(list(MachineMode))
        self._say(f"{name} is to be {mode}")
        self._house.machines.set_mode([name], mode, None, "ann")

    # what goes wrong

    def _machine_goes(self) -> None:
        name = self._dice.choice(self._machines)
        self._say(f"{name} goes")
        self._house.network.cut(name)

    def _machine_comes(self) -> None:
        name = self._dice.choice(self._machines)
        self._say(f"{name} comes")
        self._house.network.mend(name)

    def _look_at_machines(self) -> None:
        """One after the other, so that what follows is the same each time."""
        for name in self._machines:
            found = self._house.check(name)
            self._say(f"somebody looks: {found}")
        self._house.catching_up.look()

    def _lose_redis(self) -> None:
        self._say("Redis loses everything")
        self._house.redis.flushall()

    def _lose_messages(self) -> None:
        self._say("all messages are lost")
        self._house.dispatcher.lose()

    def _repeat_messages(self) -> None:
        self._say("messages come twice")
        for queue in (self._house.dispatcher.granted, self._house.dispatcher.chains):
            if queue:
                queue.append(self._dice.choice(queue))  # type: ignore[attr-defined]

    # ---- what must be true ----

    def _check(self) -> None:
        with self._house.database.read() as tx:
            running = [run for run in tx.runs.open() if run.state is RunState.RUNNING]
            places = [self._place(tx, run) for run in running]
            for place, one in enumerate(running):
                deployment = tx.deployments.get(one.deployment_id)
                assert deployment is not None
                in_line = deployment.ticket is not None or deployment.cancel_requested_at
                assert in_line, f"run-{one.id} runs, and its deployment has no place"
                here, mode = places[place]
                for other, (there, its_mode) in list(zip(running, places, strict=True))[
                    place + 1 :
                ]:
                    clash = here == there and "exclusive" in (mode, its_mode)
                    assert not clash, f"run-{one.id} and run-{other.id} on {here}"
            begun = [
                d.tag
                for d in tx.deployments.open()
                if d.state.value in ("running", "paused") and d.ticket is not None
            ]
            assert len(begun) == len(set(begun)), f"two of one tag: {begun}"

    def _place(self, tx: Transaction, run: RunRecord) -> tuple[str, str]:
        """The machine that a run is on, and how it has it."""
        planned = self._house.archive.plan(tx, run.deployment_id).steps[run.step].runs[run.place]
        return planned.where.name, planned.lock_mode.value

    def _come_to_rest(self) -> None:
        self._house.network.mend(*self._machines)
        self._house.machines.set_mode(self._machines, MachineMode.ENABLED, None, "ann")
        for number in range(ROUNDS):
            if number % 5 == 0:
                self._undisturbed(self._look_at_machines)
            for move in (self._link, self._take):
                for _ in range(6):
                    self._undisturbed(move)
            for _ in range(6):
                self._undisturbed(lambda: self._end(0.9))
            if self._dice.random() < 0.7:
                self._undisturbed(self._answer)
            if number % 2 == 0:
                self._undisturbed(lambda: self._housekeeping(5))
            if self._one() is None and not self._running and not self._house.dispatcher.granted:
                self._undisturbed(self._look_at_machines)
                if self._one() is None:  # nothing was missed that can be caught up with
                    return
        still = [d for d in self._house.queries.deployments() if not d.state.final]
        raise AssertionError(f"these stand still: {still}")

    def _undisturbed(self, move: Callable[[], None]) -> None:
        try:
            move()
        except RequestError as refused:
            self._say(f"  refused: {refused}")
        self._check()

    def _check_rest(self) -> None:
        for _ in range(13):  # one of them looks at everything
            self._housekeeping(5)
        assert self._house.held() == {}, "what has ended holds and waits for nothing"
        for deployment in self._house.queries.deployments():
            runs = self._house.detail(deployment.id).runs
            left = [run.id for run in runs if not run.state.final]
            assert not left, f"dep-{deployment.id} has ended without {left}"
            last = {(run.step, run.machine): run for run in runs}
            bad = [run.id for run in last.values() if run.state in BAD and not run.forgiven]
            well = deployment.state != "succeeded" or not bad
            assert well, f"dep-{deployment.id} has succeeded in spite of {bad}"
            self._check_put_back(deployment, list(last.values()))
        self._check_caught_up()

    def _check_put_back(self, deployment: DeploymentRecord, last: list[RunRecord]) -> None:
        """No machine on which something of its turn went wrong is put back without a word."""
        with self._house.database.read() as tx:
            process = self._house.archive.snapshot(tx, deployment.snapshot_id).process
        for run in last:
            step = process[run.step]
            if step.hook is Hook.AFTER and not step.closes and run.state is RunState.SUCCEEDED:
                turn = [r for r in last if r.machine == run.machine]
                own = [r for r in turn if process[r.step].rolling == step.rolling]
                bad = [r.id for r in own if r.state in BAD and r.answer != IGNORED]
                assert not bad, f"{run.machine} is put back by run-{run.id} in spite of {bad}"

    def _check_caught_up(self) -> None:
        """What came by itself was what was there; and what is still missed, nobody knows of."""
        every = self._house.queries.deployments()
        for late in (d for d in begun(every) if d.catches_up):
            there = [d for d in begun(every) if _place(d) == _place(late)]
            before = current(there[: there.index(late)])
            assert before is not None
            assert before.release_id == late.release_id, f"dep-{late.id} came over dep-{before.id}"
        with self._house.database.read() as tx:
            missed = tx.absences.all()
        for absence in missed:
            without = next(d for d in every if d.id == absence.deployment_id)
            latest = current(d for d in every if _place(d) == _place(without))
            clear = latest is not None and latest.state is DeploymentState.SUCCEEDED
            assert not clear, f"{absence.machine} has not caught up with dep-{without.id}"


def _place(deployment: DeploymentRecord) -> tuple[str, str]:
    return deployment.project, deployment.environment
