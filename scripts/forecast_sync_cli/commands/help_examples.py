"""The examples at the end of each command's ``--help``, which docs/cli.md shows too."""

from __future__ import annotations

import typer

EXAMPLES: dict[str, tuple[str, ...]] = {
    "start": (
        "forecast-sync start",
        "forecast-sync start --git-ref feature/menu --sync-type full",
        "forecast-sync start --date-from 2026-12-01 --date-to 2026-12-07 --no-wait --json",
    ),
    "status": (
        "forecast-sync status",
        "forecast-sync status --git-ref preview/pr-12 --goal-hours 2 --check",
        "forecast-sync status 20261124T060000-cli-3f2a1b",
    ),
    "history": ("forecast-sync history -n 50", "forecast-sync history --json | jq '.[0].run_id'"),
    "redrive": ("forecast-sync redrive", "forecast-sync redrive 20261124T060000-cli-3f2a1b"),
    "stop": ("forecast-sync stop 20261124T060000-cli-3f2a1b",),
    "logs": (
        "forecast-sync logs 20261124T060000-cli-3f2a1b",
        "forecast-sync logs --follow 20261124T060000-cli-3f2a1b",
    ),
    "doctor": ("forecast-sync doctor", "forecast-sync doctor --environment production --json"),
    "plan": (
        "forecast-sync plan",
        "forecast-sync plan --sync-type full --date-from 2026-12-01",
        "forecast-sync plan 20261124T060000-plan-3f2a1b --json",
    ),
    "diff": (
        "forecast-sync diff",
        "forecast-sync diff --date-from 2026-12-01 --date-to 2026-12-07 --limit 100",
    ),
    "backfill": (
        "forecast-sync backfill --date-from 2026-01-01 --date-to 2026-12-31 --days-per-run 7",
        "forecast-sync backfill --date-from 2026-12-01 --date-to 2026-12-31 --name again",
    ),
    "preview": ("forecast-sync preview 12", "forecast-sync preview 12 --wait-for-branch 120"),
    "sync": (
        "forecast-sync sync lake/ --database-url postgresql://app@localhost/shop",
        "forecast-sync sync lake/ --database-url $DATABASE_URL --table tables/sales.toml",
    ),
    "dashboard": ("forecast-sync dashboard --open", "forecast-sync dashboard --port 0"),
    "example": ("forecast-sync example forecast.parquet",),
    "demo": ("forecast-sync demo",),
    "local up": (
        "forecast-sync local up",
        "forecast-sync local up --table tables/sales.toml --state-dir .cloud --json",
    ),
    "local down": ("forecast-sync local down",),
    "rejects list": ("forecast-sync rejects list --reason 'state is NULL' -n 5",),
    "rejects reasons": ("forecast-sync rejects reasons --all",),
    "rejects export": ("forecast-sync rejects export rejects.csv",),
    "rejects replay": ("forecast-sync rejects replay",),
    "files accept": ("forecast-sync files accept forecast/part-7.parquet",),
    "files retry": ("forecast-sync files retry forecast/part-7.parquet",),
    "tables init": (
        "forecast-sync tables init lake/part-0.parquet --key store,item,day > tables/sales.toml",
        "forecast-sync tables init part.parquet --key id,day --newest 'to_unixtime(exported_at)'",
    ),
    "tables check": ("forecast-sync tables check tables/price.toml",),
    "tables ddl": ("forecast-sync tables ddl price",),
    "tables declare": ("forecast-sync tables declare --environment dev",),
}


def add_examples(app: typer.Typer) -> None:
    """End every command's help with its examples."""
    groups = {"": app, **{str(group.name): group.typer_instance for group in app.registered_groups}}
    for prefix, group in groups.items():
        for command in group.registered_commands if group else ():
            name = command.name or command.callback.__name__ if command.callback else ""
            examples = EXAMPLES.get(f"{prefix} {name}".strip(), ())
            # Paragraphs that begin with \b keep their lines.
            command.epilog = "\n".join(("Examples:", "", "\b", *examples))
