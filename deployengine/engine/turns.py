"""Turns: what comes next in a stage when it opens, and whenever a run of it has ended.

Called within a transaction that holds the deployment's row, where the stage is compound: of two
runs that end at once, one must see what the other has done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from deployengine import failpoints
from deployengine.domain.counted import counted
from deployengine.domain.deployment import DeploymentState, RunState, StepState
from deployengine.domain.identity import deployment_id, run_id
from deployengine.domain.plan import Plan, Stage, Track
from deployengine.domain.planning import Unseal
from deployengine.domain.project import OnFailure, Step, StepKind
from deployengine.domain.release import Snapshot
from deployengine.domain.turns import AT_ONCE, Judged, due, failed
from deployengine.engine.carried_out import runs_with_outputs
from deployengine.engine.conditions import Conditions, Verdict
from deployengine.engine.lanes import Lanes
from deployengine.engine.moved import Moved
from deployengine.engine.questions import leave_out
from deployengine.engine.tickets import draw
from deployengine.persistence import Transaction
from deployengine.persistence.records import LEFT_OUT, WHY_LEFT_OUT, DeploymentRecord, RunRecord


class Turns:
    """Readies runs, asks for manual steps, skips what is not to run, and counts all that off."""

    def __init__(
        self,
        tx: Transaction,
        deployment: DeploymentRecord,
        plan: Plan,
        snapshot: Snapshot,
        unseal: Unseal,
        now: datetime,
    ) -> None:
        self._tx = tx
        self._deployment = deployment
        self._plan = plan
        self._process = snapshot.process
        self._snapshot = snapshot
        self._unseal = unseal
        self._now = now
        self._over = deployment.cancel_requested_at is not None
        self._asking = False
        self._leaving: list[str] = []
        #: Machines that are to be left out, as a condition of their lane could not be told.
        self._excluded: list[str] = []

    @cached_property
    def _conditions(self) -> Conditions:
        process = self._process
        earlier = runs_with_outputs(self._tx, self._deployment, process, len(process))
        return Conditions(self._deployment, self._snapshot, earlier, self._unseal)

    def open(self, stage: Stage) -> Moved:
        """Opens the steps of a stage that are to run, and skips the others."""
        any_failed = self._tx.runs.any_unsuccessful(self._deployment.id)
        for track in stage.tracks:
            verdict = self._of_track(track, any_failed)
            for position in track.positions:
                self._open(position, verdict)
        return self.go_on(stage, stage.tracks)

    def go_on(self, stage: Stage, tracks: Sequence[Track]) -> Moved:
        """Sees to what comes next in these tracks of a stage."""
        ready = [run for track in tracks for run in self._next(track)]
        if self._excluded:
            excluded, self._excluded = self._excluded, []
            gone = {number for machine in excluded for number in self.leave_out(machine)}
            moved = self.go_on(stage, stage.tracks)
            others = [run for run in ready if run.id not in gone]
            return replace(moved, ready=[*others, *moved.ready])
        done = self._tx.steps.all_done(self._deployment.id, stage.positions)
        asking = self._asking or self._deployment.state is DeploymentState.PAUSED
        if asking and not done and self._only_people(stage):
            self._tx.deployments.stand_aside(self._deployment.id)
            self._leaving.append(deployment_id(self._deployment.id))
        return Moved(ready, done, self._leaving)

    def _only_people(self, stage: Stage) -> bool:
        """Whether nothing is at work but manual steps that do not keep the task tag."""
        runs = self._tx.lanes.of(self._deployment.id, stage.positions)
        at_work = [run for run in runs if run.asks or not run.state.final]
        steps = [self._process[run.step] for run in at_work if run.asks]
        by_hand = all(step.kind is StepKind.MANUAL and not step.keep_tag for step in steps)
        return bool(at_work) and by_hand and len(steps) == len(at_work)

    def close(self, run: RunRecord, *, leave_out: bool = False) -> Moved:
        """Takes a run that has ended off its step, and sees to what comes next.

        With ``leave_out`` nothing more runs on its machine.
        """
        stage = self._plan.stage_of(run.step)
        self._tx.steps.count_down(self._deployment.id, run.step, 1, self._now)
        if not leave_out:
            return self.go_on(stage, [stage.track_of(run.step)])
        self.leave_out(run.machine)
        return self.go_on(stage, stage.tracks)

    def leave_out(self, machine: str) -> list[int]:
        """Skips all that is still to come on a machine, by its ids; what runs there goes on.

        What closes a turn that has begun comes all the same. What asks there asks no more: see
        :func:`~deployengine.engine.questions.go_on`.
        """
        skipped = self._tx.lanes.leave_out(
            self._deployment.id, machine, WHY_LEFT_OUT, self._now, self._closing(machine)
        )
        self._tx.claims.untouch([run.id for run in skipped])
        self._leaving += [run_id(run.id) for run in skipped if run.ticket is not None]
        asking = leave_out(self._tx, self._deployment.id, machine, self._now)
        ended = Counter(run.step for run in (*skipped, *asking))
        for position in sorted(self._opened() & ended.keys()):
            self._tx.steps.count_down(self._deployment.id, position, ended[position], self._now)
        return [run.id for run in skipped]

    def _opened(self) -> set[int]:
        steps = self._tx.steps.of(self._deployment.id)
        return {step.position for step in steps if step.state is StepState.OPEN}

    def without(self, machine: str) -> Moved:
        """Leaves a machine out of the deployment, and sees to what comes next without it."""
        opened = self._opened()
        self.leave_out(machine)
        for stage in self._plan.stages:
            if not opened.isdisjoint(stage.positions):
                return self.go_on(stage, stage.tracks)
        return Moved(leaving=self._leaving)

    def _closing(self, machine: str) -> list[int]:
        """The runs that end the turns which have begun on a machine."""
        tracks = (track for stage in self._plan.stages for track in stage.tracks)
        closed = (t for t in tracks if self._process[t.positions[-1]].closes)
        return [run for track in closed for run in self._lanes(track).closing_on(machine)]

    def _of_track(self, track: Track, any_failed: bool) -> Verdict:
        """By the condition of its only step, or of its group."""
        if self._over:
            return Verdict(Judged.SKIP)
        step = self._process[track.positions[0]]
        return self._conditions.judge(step.unit.condition, step, failed=any_failed)

    def _open(self, position: int, verdict: Verdict) -> None:
        left_out = self._plan.steps[position].left_out
        number = self._deployment.id
        if verdict.judged is Judged.RUN and not left_out:
            pending = self._tx.runs.count_pending(number, position)
            if pending:
                self._tx.steps.open(number, position, pending)
                return
        state = RunState.SKIPPED
        if self._over:
            state = RunState.CANCELLED
        elif verdict.judged is Judged.BROKEN and not left_out:
            state = RunState.FAILED
        why = left_out or verdict.why
        self._tx.runs.give_up_pending(number, state, self._now, position, why)
        self._tx.steps.skip(number, position, self._now)

    def leaves_out(self, run: RunRecord) -> bool:
        """Whether the machine of a run that has failed is left out for it, and others go on."""
        if not self._excludes(self._process[run.step]):
            return False
        track = self._plan.stage_of(run.step).track_of(run.step)
        most = track.max_failures
        return most is None or failed(self._lanes(track).turns.values()) <= most

    def _excludes(self, step: Step) -> bool:
        return step.rolling is not None and step.rolling.on_failure is OnFailure.EXCLUDE

    def _lanes(self, track: Track) -> Lanes:
        runs = self._tx.lanes.of(self._deployment.id, track.positions)
        return Lanes(runs, self._process)

    def _next(self, track: Track) -> list[RunRecord]:
        lanes = self._lanes(track)
        first = self._process[track.positions[0]]
        exclude = self._excludes(first)
        stops = first.rolling is not None and not exclude
        most = 0 if stops else track.max_failures
        whys: dict[int, str | None] = {}

        def wanted(index: int, bad: bool, place: int) -> Judged:
            run = lanes[place, index]
            step = self._process[run.step]
            if step.rolling is None:
                return Judged.RUN  # it was judged when its stage opened
            machine = self._plan.steps[run.step].runs[run.place].machine
            verdict = self._conditions.judge(step.condition, step, failed=bad, machine=machine)
            whys[run.id] = verdict.why
            return verdict.judged

        found = due(
            lanes.turns,
            AT_ONCE if failpoints.left_out("window") else track.pace,
            wanted,
            most=most,
            exclude=exclude,
            closing=lanes.closing,
            over=self._over,
        )
        skipped, broken, withheld = (
            [lanes[at] for at in some] for some in (found.skipped, found.broken, found.withheld)
        )
        whys.update((run.id, _no_further(most)) for run in withheld)
        self._give_up(skipped, RunState.CANCELLED if self._over else RunState.SKIPPED, whys)
        self._give_up(withheld, RunState.SKIPPED, whys)
        self._give_up(broken, RunState.FAILED, whys)
        for run in (lanes[at] for at in found.left):
            self._tx.questions.forgive(run.id, LEFT_OUT)
            self._excluded.append(run.machine)
        return self._ready(track, [lanes[at] for at in found.ready])

    def _give_up(
        self, runs: Sequence[RunRecord], state: RunState, whys: Mapping[int, str | None]
    ) -> None:
        for run in runs:
            self._tx.lanes.give_up(run.id, state, whys.get(run.id), self._now)
        for position, ended in Counter(run.step for run in runs).items():
            self._tx.steps.count_down(self._deployment.id, position, ended, self._now)

    def _ready(self, track: Track, runs: Sequence[RunRecord]) -> list[RunRecord]:
        by_hand = [run for run in runs if self._process[run.step].kind is StepKind.MANUAL]
        for run in by_hand:
            told = self._conditions.told(self._process[run.step])
            self._tx.questions.ask(run.id, self._now, told)
        if by_hand:
            self._asking = True
            self._tx.deployments.pause(self._deployment.id)
        scripts = [run for run in runs if run not in by_hand]
        if not scripts:
            return []
        ready = self._with_tickets(track, scripts)
        self._tx.claims.touch(
            {run.id: self._plan.steps[run.step].runs[run.place].touched for run in ready}
        )
        return ready

    def _with_tickets(self, track: Track, runs: Sequence[RunRecord]) -> list[RunRecord]:
        priority = self._deployment.priority
        if track.compound:
            tickets = draw(self._tx, priority, len(runs))
            return self._tx.lanes.ready(runs, tickets, self._now)
        # All that is pending of the one step, in one statement.
        tickets = draw(self._tx, priority, max(run.place for run in runs) + 1)
        (position,) = track.positions
        return self._tx.runs.make_ready(self._deployment.id, position, tickets, self._now)


def _no_further(most: int | None) -> str:
    """Why a machine's turn does not begin."""
    many = f"more than {counted(most, 'machine')}" if most else "a machine"
    return f"{many} failed, so no further one begins"
