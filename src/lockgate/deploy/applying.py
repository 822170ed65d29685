"""Performs a plan: every step whose predecessors are done, then plans again, until nothing is left.

Nothing is stored. What a killed run has done is found again by the next one, and the step that it was in is performed
again, because each looks before it writes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from lockgate.deploy.performing import Performer
from lockgate.deploy.planning.plan import Plan
from lockgate.deploy.planning.steps import State, Step
from lockgate.deploy.session import Session
from lockgate.deploy.shifting import Prober
from lockgate.deploy.waiting import StepFailed
from lockgate.errors import CommandError

_ROUNDS: Final = 6


class Blocked(CommandError):
    """The plan has problems."""

    hint = "`lockgate plan` lists them"


class NotConfirmed(CommandError):
    """The answer was no."""


class Progress(Protocol):
    """What a person or a CI log reads."""

    def planned(self, plan: Plan) -> None: ...

    def began(self, step: Step) -> None: ...

    def noted(self, text: str) -> None: ...

    def done(self, step: Step, seconds: float) -> None: ...

    def failed(self, step: Step, reason: str) -> None: ...


async def apply(session: Session, progress: Progress, *, confirm: Callable[[Plan], bool], prober: Prober) -> Plan:
    """The last plan, which has nothing to do. Raises `Blocked`, `StepFailed` and others that end a command."""
    plan = await session.plan()
    progress.planned(plan)
    if plan.problems:
        raise Blocked(f"{len(plan.problems)} problems prevent this: {plan.problems[0]}")
    if not plan.todo:
        return plan
    if not confirm(plan):
        raise NotConfirmed("not confirmed: nothing was written")
    for _ in range(_ROUNDS):
        await _round(session, plan, progress, prober)
        plan = await session.plan()
        if plan.problems:
            raise Blocked(f"{len(plan.problems)} problems prevent the rest: {plan.problems[0]}")
        if not plan.todo:
            return plan
    raise StepFailed(f"still to do after {_ROUNDS} rounds: {plan.todo[0].title}; others may be changing the same")


async def _round(session: Session, plan: Plan, progress: Progress, prober: Prober) -> None:
    """Performs what can be performed: independent steps in parallel. The first failure ends the others."""
    performer = Performer(session.cluster, session.account, plan, session.wishes, progress.noted, prober)
    finished = {step.id: asyncio.Event() for step in plan.steps}
    skipped = _deferred(plan.steps)

    async def run(step: Step) -> None:
        for before in step.after:
            if before in finished:
                await finished[before].wait()
        if step.state is State.TODO:
            began = time.monotonic()
            progress.began(step)
            try:
                await performer.perform(step.action)
            except CommandError as error:
                progress.failed(step, str(error))
                raise
            progress.done(step, time.monotonic() - began)
        finished[step.id].set()

    try:
        async with asyncio.TaskGroup() as tasks:
            for step in plan.steps:
                if step.id not in skipped:
                    tasks.create_task(run(step))
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _deferred(steps: Sequence[Step]) -> frozenset[str]:
    """Steps whose inputs are not known yet, with all that come after them."""
    found: set[str] = set()
    for step in steps:
        if step.deferred or found & set(step.after):
            found.add(step.id)
    return frozenset(found)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
