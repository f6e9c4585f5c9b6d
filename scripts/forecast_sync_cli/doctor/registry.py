"""All checks, in the order in which they run."""

from __future__ import annotations

from forecast_sync_cli.doctor import account, data, stack
from forecast_sync_cli.doctor.runner import Check

STACK = ("credentials", "state machine", "settings")

CHECKS = (
    Check("credentials", account.credentials),
    Check("stack", stack.stack_status, ("credentials",)),
    Check("state machine", account.state_machine, ("credentials", "stack")),
    Check("functions", account.functions, ("credentials", "state machine")),
    Check("settings", account.settings, ("credentials", "state machine")),
    Check("concurrency", stack.concurrency, (*STACK, "functions")),
    Check("secret", stack.stored_secret, STACK),
    Check("lake", account.lake, STACK),
    Check("lake key", stack.lake_key, (*STACK, "lake")),
    Check("uploads", account.uploads, STACK),
    Check("schedule", account.schedule, STACK),
    Check("announcements", account.announcements, STACK),
    Check("alarms", stack.alarms, STACK),
    Check("GitHub", stack.github, STACK),
    Check("workgroup", data.workgroup, STACK),
    Check("table file", data.table_file, STACK, by_table=True),
    Check("files", account.files, (*STACK, "lake"), by_table=True),
    Check("declared table", data.declared_table, STACK, by_table=True),
    Check(
        "modified time",
        data.modified_time,
        (*STACK, "declared table", "workgroup"),
        by_table=True,
    ),
    Check("database", data.database, STACK, by_table=True),
    Check("left out", data.left_out, (*STACK, "database"), by_table=True),
    Check("queries", data.queries, (*STACK, "declared table", "workgroup"), by_table=True),
    Check("unload", data.unload, (*STACK, "workgroup"), by_table=True),
    Check("copy", data.copy, (*STACK, "database", "unload"), by_table=True),
)
