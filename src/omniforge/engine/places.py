"""Places: which runs of a tenant are handed to workers, so that no tenant has more than its share at once.

A run that wants to be driven stands in its tenant's line; while the tenant has a place free, the first in
line gets it and with it a job in the queue, in the same transaction. It gives the place back when it is over
or parked. So the queue holds at most a few jobs per tenant, whatever a tenant has lined up, and a tenant's
n-th place ranks behind everybody's earlier ones.
"""

from __future__ import annotations

QUEUE, DRIVE, WAKE = "runs", "drive_run", "wake_run"
"""Names of the queue and its tasks."""

RANKS = 1000
"""Priority of a job: RANKS times the run's priority, less the places its tenant has taken before it."""

SET_TIMER = (
    f"procrastinate_defer_jobs_v1(ARRAY[ROW('{QUEUE}', '{WAKE}', 0, NULL, NULL, jsonb_build_object("
    "'run_id', item ->> 'run_id', 'tenant_id', item ->> 'tenant_id', 'wake_at', item ->> 'wake_at'),"
    " (item ->> 'wake_at')::timestamptz)::procrastinate_job_to_defer_v1])"
)
"""The job that lines a parked run up again when its time has come."""

_OPEN_JOB = f"task_name = '{DRIVE}' AND status IN ('todo', 'doing')"

TAKE_BACK = f"""
UPDATE run_places p SET granted = false, again = false
 WHERE granted AND NOT EXISTS (
   SELECT 1 FROM procrastinate_jobs j WHERE j.args ->> 'run_id' = p.run_id AND {_OPEN_JOB})
RETURNING tenant_id"""
"""Take places back whose job is gone, so that they are granted anew."""

MISSING = """
SELECT r.id, r.tenant_id FROM runs r
 WHERE (r.status IN ('queued', 'running')
        OR (r.status IN ('waiting', 'paused') AND r.request LIKE 'cancel%%'))
   AND NOT EXISTS (SELECT 1 FROM run_places p WHERE p.run_id = r.id)
 ORDER BY r.created_at LIMIT %s"""
"""Runs that are to be driven and stand in no line: those of an installation that was moved here."""

UNSET_TIMERS = f"""
SELECT r.id, r.tenant_id, r.wake_at FROM runs r
 WHERE r.status = 'waiting' AND r.wake_at IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM run_places p WHERE p.run_id = r.id)
   AND NOT EXISTS (
     SELECT 1 FROM procrastinate_jobs j
      WHERE j.task_name = '{WAKE}' AND j.status IN ('todo', 'doing') AND j.args ->> 'run_id' = r.id)
 LIMIT %s"""
"""Waiting runs that go on by themselves and whose timer is nowhere."""
