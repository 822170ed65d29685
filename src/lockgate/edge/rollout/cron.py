"""A CronJob: the Job of each time of its schedule, and the Jobs that it keeps.

Source: kubernetes/kubernetes `pkg/controller/cronjob/cronjob_controllerv2.go`, `utils.go`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from lockgate.edge.rollout.changes import Change, Create, Delete, SetStatus
from lockgate.edge.rollout.schedules import Schedule, schedule
from lockgate.edge.rollout.template import controlled_by
from lockgate.resources.model import JsonObject
from lockgate.resources.workloads import CronJob, Job

_SCHEDULED_AT: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"


@dataclass(slots=True)
class Run:
    """What is done now. `events` are types, reasons and messages. `next` is when to look again."""

    changes: list[Change] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    next: datetime | None = None


def run(cron_job: CronJob, jobs: Sequence[Job], now: datetime) -> Run:
    """`now` is in the CronJob's time zone."""
    spec, made = cron_job.spec, Run()
    active = [job for job in jobs if not _finished(job)]
    for job in _too_old(cron_job, jobs):
        made.changes.append(Delete(job))
    last = _time(cron_job.status.get("lastScheduleTime"))
    if not spec.suspend:
        try:
            times = schedule(spec.schedule)
        except ValueError as error:
            made.events.append(("Warning", "UnparseableSchedule", f'unparseable schedule: "{spec.schedule}" : {error}'))
            times = None
        if times is not None:
            made.next = times.next(now)
            due = _due(cron_job, times, last, now)
            if due is not None and due != last:
                last = _start(cron_job, active, due, now, made) or last
    successful = max((job.status["completionTime"] for job in jobs if job.status.get("completionTime")), default=None)
    status: JsonObject = {
        "active": [_reference(job) for job in active] or None,
        "lastScheduleTime": _text(last) if last else None,
        "lastSuccessfulTime": successful or cron_job.status.get("lastSuccessfulTime"),
    }
    made.changes.append(SetStatus(cron_job, status))
    return made


def _start(cron_job: CronJob, active: list[Job], due: datetime, now: datetime, made: Run) -> datetime | None:
    """Starts the Job of a time, unless it is too late or another one is active. Returns the time of the Job."""
    spec = cron_job.spec
    deadline = spec.starting_deadline_seconds
    if deadline is not None and due + timedelta(seconds=deadline) < now:
        when = due.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
        made.events.append(("Warning", "MissSchedule", f"Missed scheduled time to start a job: {when}"))
        return None
    if spec.concurrency_policy == "Forbid" and active:
        why = "Not starting job because prior execution is running and concurrency policy is Forbid"
        made.events.append(("Normal", "JobAlreadyActive", why))
        return None
    if spec.concurrency_policy == "Replace":
        made.changes += [Delete(job) for job in active]
        made.events += [("Normal", "SuccessfulDelete", f"Deleted job {job.name}") for job in active]
        active.clear()
    manifest = _job(cron_job, due)
    made.changes.append(Create(manifest))
    made.events.append(("Normal", "SuccessfulCreate", f"Created job {manifest['metadata']['name']}"))
    return due


def _due(cron_job: CronJob, times: Schedule, last: datetime | None, now: datetime) -> datetime | None:
    """The latest time of the schedule that has come since the last one."""
    earliest = last or _time(cron_job.metadata.creation_timestamp) or now
    if (deadline := cron_job.spec.starting_deadline_seconds) is not None:
        earliest = max(earliest, now - timedelta(seconds=deadline))
    at = times.next(earliest.astimezone(now.tzinfo))
    if at is None or at > now:
        return None
    following = times.next(at)
    if following is None or following > now:
        return at
    # Of many missed times, only the latest counts. The interval of the first two leads near it.
    nearly = now - 2 * (following - at)
    at = max(at, times.next(nearly) or at)
    while (following := times.next(at)) is not None and following <= now:
        at = following
    return at if at <= now else None


def _job(cron_job: CronJob, due: datetime) -> JsonObject:
    template = cron_job.spec.job_template
    metadata = template.get("metadata") or {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{cron_job.name}-{int(due.timestamp()) // 60}",
            "namespace": cron_job.namespace,
            "labels": dict(metadata.get("labels") or {}),
            "annotations": {**(metadata.get("annotations") or {}), _SCHEDULED_AT: due.isoformat()},
            "ownerReferences": [controlled_by(cron_job)],
        },
        "spec": template.get("spec") or {},
    }


def _too_old(cron_job: CronJob, jobs: Sequence[Job]) -> list[Job]:
    """Finished Jobs beyond the limits of the history."""
    found: list[Job] = []
    for condition, limit in (
        ("Complete", cron_job.spec.successful_jobs_history_limit),
        ("Failed", cron_job.spec.failed_jobs_history_limit),
    ):
        kept = sorted((job for job in jobs if _finished(job) == condition), key=_started)
        found += kept[: max(len(kept) - limit, 0)]
    return found


def _started(job: Job) -> tuple[str, str]:
    return str(job.status.get("startTime") or ""), job.name


def _finished(job: Job) -> str:
    """``Complete`` or ``Failed``; "" for an active Job."""
    held = {each.get("type") for each in job.status.get("conditions") or () if each.get("status") == "True"}
    return next((each for each in ("Complete", "Failed") if each in held), "")


def _reference(job: Job) -> JsonObject:
    names = {"name": job.name, "namespace": job.namespace, "uid": job.metadata.uid}
    return {"apiVersion": "batch/v1", "kind": "Job", **names, "resourceVersion": job.metadata.resource_version}


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if isinstance(text, str) and text else None


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
