"""Carrying out step runs: claim, start the ticket, stream its output, record its end, hand on.

A run whose worker was lost is picked up: whoever took it over follows the script that is running,
from where its output in the database ends. Nothing is started a second time: a script that has not
begun is given to a free slot like any other, and one that is gone without an end is UNKNOWN.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from deployengine import failpoints
from deployengine.domain.deployment import RunState
from deployengine.domain.errors import DeployEngineError, Unreachable
from deployengine.domain.identity import run_id
from deployengine.domain.planning import Unseal
from deployengine.engine.absence import Absence
from deployengine.engine.archive import Archive
from deployengine.engine.bells import Bells, LetGo
from deployengine.engine.claims import Claimed, Claims, Inherited, Relinquished
from deployengine.engine.endings import Endings, Outcome
from deployengine.engine.following import Follower, Following, given_up, timed_out
from deployengine.engine.handoff import HandOff
from deployengine.engine.lease import Lease
from deployengine.engine.outage import outlast
from deployengine.engine.output_stream import OutputStream
from deployengine.engine.ports import Clock
from deployengine.engine.requests import run_label
from deployengine.engine.run_tickets import RunTickets
from deployengine.engine.set_outputs import Seal
from deployengine.engine.slots import Slots
from deployengine.locks import Grant
from deployengine.persistence import Database
from deployengine.steps.contract import Started, State, Status
from deployengine.steps.errors import (
    CannotStart,
    InDoubt,
    MachineUnfit,
    MachineUnreachable,
    StaleFence,
    StepError,
)
from deployengine.steps.masking import Masker
from deployengine.steps.wake import Wake

log = logging.getLogger("deployengine.runs")

__all__ = ["BeyondUs", "Outcome", "StepRuns"]


class BeyondUs(Exception):
    """This process cannot carry on a run that others may: its master key is another one."""


class StepRuns:
    """Runs scripts; one call of :meth:`execute` is one slot taken."""

    def __init__(
        self,
        database: Database,
        handoff: HandOff,
        archive: Archive,
        clock: Clock,
        lease: Lease,
        tickets: RunTickets,
        seal: Seal,
        unseal: Unseal,
        *,
        task_cap: int,
        output_interval: timedelta,
    ) -> None:
        self._database = database
        self._handoff = handoff
        self.claims = Claims(database, handoff, archive, clock)
        self._endings = Endings(database, handoff, clock, unseal)
        self._absence = Absence(database, handoff, self._endings, clock)
        self._clock = clock
        self._lease = lease
        self._tickets = tickets
        self._slots = Slots(task_cap)
        self._output_interval = output_interval
        self._bells = Bells()
        self._follower = Follower(
            self.claims, self._endings, clock, self._bells, seal, output_interval
        )
        self._pause = threading.Event()  # never set: to wait by

    def execute(self, number: int, granted_at: datetime) -> Outcome | None:
        """Carries a granted run out to its end; ``None`` when it was not waiting any more.

        Whatever goes wrong with the run is its outcome. Raises ``Unreachable`` when it could not
        even be claimed.
        """
        with self._bells.hung(number) as wake:  # before the claim, so that no cancel is missed
            if wake is None:
                failpoints.hit("branch.duplicate")
                return None  # the message came twice, and the run is being carried out here
            try:
                with self._slots.one():
                    self._bells.check()
                    if not self._lease.good():
                        self._renew("nothing is begun")
                    claimed = self.claims.claim(number, granted_at, self._lease.name)
                    return self._begin(claimed, wake) if claimed else None
            except (Relinquished, LetGo) as gone:
                self._tell_gone(number, gone)
                return None

    def pick_up(self, inherited: Inherited) -> Outcome | None:
        """Sees a run that was taken over to its end; ``None`` when others do that.

        Raises :class:`BeyondUs` when this process cannot; others may.
        """
        number = inherited.claimed.run.id
        with self._bells.hung(number) as wake:
            if wake is None:
                return None
            try:
                with self._slots.besides():
                    return self._attach(inherited, wake)
            except (Relinquished, LetGo) as gone:
                self._tell_gone(number, gone)
                return None

    def cancel(self, numbers: Iterable[int]) -> None:
        """Ends those of the runs that this process carries out; returns at once."""
        self._bells.ring(numbers)

    def carries_out(self, number: int) -> bool:
        """Whether this process is at work on the run."""
        return self._bells.hangs(number)

    def let_go(self) -> None:
        """Follows no script any more, and begins none; those that run go on by themselves."""
        self._bells.ring_out()

    def _tell_gone(self, number: int, why: Exception) -> None:
        if isinstance(why, Relinquished):
            failpoints.hit("branch.taken-over")
            silence = self._lease.silence
            log.warning(
                "%s is carried on by %s; last sign %.1f s ago", run_id(number), why, silence
            )

    # ---- beginning ----

    def _begin(self, claimed: Claimed, wake: Wake) -> Outcome | None:
        if claimed.obstacle is not None:
            return self._absence.turn_away(claimed, claimed.obstacle)
        try:
            following = self._following(claimed, wake, None)
            self._assert_entitled(claimed)
            patience = self._follower.left(following.deadline)
            started = following.ticket.start(wake, patience)
        except StaleFence as error:
            # The run has gone to another worker; if not, the machine knows of a later one.
            self._follower.assert_owned(claimed)
            return self._endings.conclude(claimed, Outcome(RunState.FAILED, None, str(error)))
        except InDoubt as error:
            self._bells.check()
            self._follower.assert_owned(claimed)
            outcome = given_up(following.ticket, error)
            if wake.is_set() and outcome.state is RunState.FAILED:
                outcome = Outcome(RunState.CANCELLED, None, "cancelled")
            return self._follower.conclude(following, outcome)
        except (MachineUnreachable, MachineUnfit) as error:
            return self._absence.met(claimed, str(error))
        except DeployEngineError as error:  # the script has not begun
            return self._endings.conclude(claimed, Outcome(RunState.FAILED, None, str(error)))
        if started is Started.CALLED_OFF:
            return self._call_off(following)
        return self._see_to_the_end(following)

    def _see_to_the_end(self, following: Following) -> Outcome | None:
        return self._follower.follow(following) or self._put_back(following)

    def _following(self, claimed: Claimed, wake: Wake, stored: tuple[int, int] | None) -> Following:
        try:
            ticket, secrets = self._tickets.of(claimed, begun=stored is not None)
        except DeployEngineError:
            raise
        except Exception as error:  # a fault of ours; to try it again and again helps nobody
            log.exception("%s cannot be prepared", run_id(claimed.run.id))
            raise CannotStart(
                f"it cannot be prepared: a fault of deployengine ({type(error).__name__}), which "
                "the worker's log tells; nothing ran"
            ) from error
        stream = OutputStream(self._database, claimed, ticket, Masker(secrets), stored)
        timeout = claimed.step.timeout_seconds
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        return Following(claimed, ticket, secrets, stream, wake, deadline)

    def _assert_entitled(self, claimed: Claimed) -> None:
        """Raises :class:`Relinquished` when this worker was silent, and lost its run by that.

        Its heart may have beaten again before this thread came to look: then it has another name.
        """
        if failpoints.left_out("self-fence"):
            return
        number = run_id(claimed.run.id)
        while not self._lease.good():
            outlast(lambda: self._renew(f"{number} is not begun"), "a sign of life")
            self._follower.assert_owned(claimed)
        if self._lease.name != claimed.run.worker:
            failpoints.hit("branch.self-fenced")
            self._follower.assert_owned(claimed)

    def _renew(self, consequence: str) -> None:
        if self._lease.name:
            failpoints.hit("branch.self-fenced")
            log.warning("no sign of life for %.1f s: %s yet", self._lease.silence, consequence)
        self._lease.beat()

    def _call_off(self, following: Following) -> Outcome:
        """Ends a run whose start was still waiting for the machine."""
        self._bells.check()
        self._follower.assert_owned(following.claimed)
        cancelled = following.wake.is_set()
        outcome = (
            Outcome(RunState.CANCELLED, None, "cancelled")
            if cancelled
            else timed_out(following.claimed, "while an older script held the machine")
        )
        with suppress(StepError):
            following.ticket.cancel()  # should another start be under way, it begins nothing
        return self._follower.conclude(following, outcome)

    # ---- picking up ----

    def _attach(self, inherited: Inherited, wake: Wake) -> Outcome | None:
        claimed = inherited.claimed
        label = run_label(claimed.deployment, claimed.plan, claimed.run)
        try:
            following = self._following(claimed, wake, inherited.stored)
        except DeployEngineError as error:
            self.claims.hand_over(inherited)
            raise BeyondUs(str(error)) from error
        status = self._inspect(inherited, following)
        if status.state is State.ABSENT and not any(inherited.stored):
            return self._put_back(following)
        failpoints.hit("branch.attach")
        log.info("%s is picked up (%s)", label, status.state.value)
        timeout = claimed.step.timeout_seconds
        if timeout is not None and status.seconds is not None:
            deadline = self._clock.monotonic() + timeout - status.seconds
            following = replace(following, deadline=deadline)
        return self._see_to_the_end(following)

    def _inspect(self, inherited: Inherited, following: Following) -> Status:
        """Where the script is, once the machine lets no earlier start begin it any more.

        A machine that cannot be asked is asked again, however long: nothing is known of the run.
        """
        runner = self._tickets.runner_of(inherited.claimed)
        told = False
        while True:
            try:
                for fence in inherited.revoked:
                    runner.revoke(fence)
                return following.ticket.status()
            except StepError as error:
                if not told:
                    number = run_id(inherited.claimed.run.id)
                    log.warning("%s cannot be picked up yet: %s", number, error)
                    told = True
            self._pause.wait(self._output_interval.total_seconds())
            self._bells.check()
            self._follower.assert_owned(inherited.claimed)

    def _put_back(self, following: Following) -> Outcome | None:
        """Gives a run that no start will begin any more to a slot that begins it."""
        claimed = following.claimed
        if failpoints.left_out("put-back"):
            return self._follower.conclude(following, Outcome(RunState.FAILED, None, "never begun"))
        number, granted_at = claimed.run.id, claimed.run.granted_at
        if outlast(lambda: self.claims.put_back(claimed), f"{run_id(number)}'s return"):
            failpoints.hit("branch.put-back")
            label = run_label(claimed.deployment, claimed.plan, claimed.run)
            log.info("%s had not begun: any free slot may begin it", label)
            ticket = claimed.run.ticket
            if granted_at is not None and ticket is not None:
                with suppress(Unreachable):  # housekeeping sends it then
                    self._handoff.dispatch([Grant(run_id(number), granted_at, label, ticket)])
            return None
        self._follower.assert_owned(claimed)  # else it is to be cancelled
        following.ticket.cancel()
        return self._follower.conclude(following, Outcome(RunState.CANCELLED, None, "cancelled"))
