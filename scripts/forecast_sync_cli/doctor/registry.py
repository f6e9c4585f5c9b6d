"""All checks, in the order in which they run."""

from __future__ import annotations

from forecast_sync_cli.doctor import account, data, deploying
from forecast_sync_cli.doctor.runner import Check

STACK = ("credentials", "state machine", "settings")

CHECKS = (
    Check("credentials", account.credentials),
    Check("stack", deploying.stack, ("credentials",)),
    Check("state machine", account.state_machine, ("credentials", "stack")),
    Check("functions", account.functions, ("credentials", "state machine")),
    Check("settings", account.settings, ("credentials", "state machine")),
    Check("concurrency", deploying.concurrency, (*STACK, "functions")),
    Check("secret", deploying.stored_secret, STACK),
    Check("lake", account.lake, STACK),
    Check("lake key", deploying.lake_key, (*STACK, "lake")),
    Check("uploads", account.uploads, STACK),
    Check("schedule", account.schedule, STACK),
    Check("announcements", account.announcements, STACK),
    Check("alarms", deploying.alarms, STACK),
    Check("GitHub", deploying.github, STACK),
    Check("declared table", data.declared_table, STACK),
    Check("workgroup", data.workgroup, STACK),
    Check("modified time", data.modified_time, (*STACK, "declared table", "workgroup")),
    Check("database", data.database, STACK),
    Check("unload", data.unload, (*STACK, "workgroup")),
    Check("copy", data.copy, (*STACK, "database", "unload")),
)
