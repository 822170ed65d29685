"""CronJobs: when their schedules come, which Jobs they start and keep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lockgate.edge.rollout import cron
from lockgate.edge.rollout.changes import Create, Delete, SetStatus
from lockgate.edge.rollout.schedules import schedule
from lockgate.resources.workloads import CronJob, Job

NOON = datetime(2026, 3, 10, 12, 0, 30, tzinfo=UTC)  # a Tuesday


@pytest.mark.parametrize(
    ("text", "after", "comes"),
    [
        ("*/15 * * * *", "2026-03-10T12:00:30", "2026-03-10T12:15:00"),
        ("0 3 * * *", "2026-03-10T03:00:00", "2026-03-11T03:00:00"),
        ("30 4 1,15 * 5", "2026-03-10T12:00:00", "2026-03-13T04:30:00"),  # either day is enough
        ("0 0 * * mon-fri", "2026-03-13T12:00:00", "2026-03-16T00:00:00"),
        ("0 0 31 * *", "2026-04-01T00:00:00", "2026-05-31T00:00:00"),
        ("5/20 1-3 * JAN ?", "2026-03-10T00:00:00", "2027-01-01T01:05:00"),
        ("@monthly", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("@every 1h30m", "2026-03-10T12:00:00", "2026-03-10T13:30:00"),
        ("0 0 30 2 *", "2026-03-10T12:00:00", None),
    ],
)
def test_the_next_time_of_a_schedule(text: str, after: str, comes: str | None) -> None:
    found = schedule(text).next(datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert found == (datetime.fromisoformat(comes).replace(tzinfo=UTC) if comes else None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * * *", "expected exactly 5 fields, found 4"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 5-2", "beginning of range (5) beyond end of range (2): 5-2"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("a * * * *", "failed to parse int from a"),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", "failed to parse duration"),
    ],
)
def test_what_is_no_schedule(text: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:
        schedule(text)
    assert why in str(refused.value)


def cron_job(last: str = "", created: str = "2026-03-10T11:00:00Z", **spec: Any) -> CronJob:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": {"restartPolicy": "Never"}}}}
    body = {"schedule": "*/10 * * * *", "jobTemplate": template, **spec}
    metadata = {"name": "nightly", "namespace": "shop", "uid": "u", "creationTimestamp": created}
    status = {"lastScheduleTime": last} if last else {}
    return CronJob.model_validate({"metadata": metadata, "spec": body, "status": status})


def job(name: str, condition: str = "") -> Job:
    held = [{"type": condition, "status": "True"}] if condition else []
    status = {"startTime": f"2026-03-10T{name}:00Z", "conditions": held}
    return Job.model_validate({"metadata": {"name": name, "namespace": "shop", "uid": name}, "status": status})


def told(made: cron.Run) -> list[str]:
    """``create NAME`` and ``delete NAME``, then the reasons of events."""
    changes = [
        f"create {each.manifest['metadata']['name']}" if isinstance(each, Create) else f"delete {each.of.name}"
        for each in made.changes
        if not isinstance(each, SetStatus)
    ]
    return [*changes, *(reason for _, reason, _ in made.events)]


AT_NOON = int(NOON.timestamp()) // 60  # names the Job of 12:00


@pytest.mark.parametrize(
    ("given", "jobs", "expected"),
    [
        (cron_job("2026-03-10T11:50:00Z"), [], [f"create nightly-{AT_NOON}", "SuccessfulCreate"]),
        (cron_job("2026-03-10T12:00:00Z"), [], []),
        (cron_job(created="2026-03-10T11:59:00Z"), [], [f"create nightly-{AT_NOON}", "SuccessfulCreate"]),
        (cron_job(created="2025-03-10T11:59:00Z"), [], [f"create nightly-{AT_NOON}", "SuccessfulCreate"]),
        (cron_job("2026-03-10T11:50:00Z", suspend=True), [], []),
        (cron_job("2026-03-10T11:50:00Z", schedule="x"), [], ["UnparseableSchedule"]),
        (cron_job("2026-03-10T11:50:00Z", startingDeadlineSeconds=20), [], []),
        (cron_job("2026-03-10T11:50:00Z", startingDeadlineSeconds=40), [],
         [f"create nightly-{AT_NOON}", "SuccessfulCreate"]),
        (cron_job("2026-03-10T11:50:00Z", concurrencyPolicy="Forbid"), [job("11:50")], ["JobAlreadyActive"]),
        (cron_job("2026-03-10T11:50:00Z", concurrencyPolicy="Replace"), [job("11:50")],
         ["delete 11:50", f"create nightly-{AT_NOON}", "SuccessfulDelete", "SuccessfulCreate"]),
        (cron_job("2026-03-10T11:50:00Z", concurrencyPolicy="Forbid"), [job("11:50", "Complete")],
         [f"create nightly-{AT_NOON}", "SuccessfulCreate"]),
        (cron_job("2026-03-10T12:00:00Z", successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0),
         [job("11:50", "Complete"), job("11:40", "Complete"), job("11:30", "Failed"), job("11:20")],
         ["delete 11:40", "delete 11:30"]),
    ],
)  # fmt: skip
def test_a_cron_job_at_noon(given: CronJob, jobs: list[Job], expected: list[str]) -> None:
    assert told(cron.run(given, jobs, NOON)) == expected


def test_the_job_of_a_time() -> None:
    local = NOON.astimezone(ZoneInfo("Asia/Seoul"))
    made = cron.run(cron_job("2026-03-10T11:50:00Z", schedule="0 21 * * *"), [job("11:50")], local)
    created = next(each.manifest for each in made.changes if isinstance(each, Create))
    assert created["metadata"]["labels"] == {"a": "b"}
    assert created["metadata"]["annotations"] == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-03-10T21:00:00+09:00"
    }
    assert created["metadata"]["ownerReferences"][0]["name"] == "nightly"
    status = next(each.status for each in made.changes if isinstance(each, SetStatus))
    assert status["lastScheduleTime"] == "2026-03-10T12:00:00Z"
    assert [each["name"] for each in status["active"]] == ["11:50"]
    assert made.next == datetime(2026, 3, 11, 21, 0, tzinfo=ZoneInfo("Asia/Seoul"))
    assert not [each for each in made.changes if isinstance(each, Delete)]
