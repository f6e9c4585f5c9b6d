"""Checks of the data's path: the Glue table, Athena, the database, and one row through all."""

from __future__ import annotations

import gzip
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import Any

from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.s3 import Storage, split_location
from forecast_sync.diagnostics.probe import (
    Statements,
    build_empty,
    build_one,
    build_probe,
    build_sample,
    expected_line,
    expected_values,
)
from forecast_sync.errors import SecretUnavailable
from forecast_sync.extract.athena_sql import listed_name, quote_literal, quote_name
from forecast_sync.survey.judge import judge
from forecast_sync.survey.listing import is_hidden
from forecast_sync.survey.lists import OTHER, WINDOW, partition_keys, register_lists, write_paths
from forecast_sync.tables import Table, is_declared
from forecast_sync.target.differences import DescribedTarget, find_added, tell_differences
from forecast_sync.target.remedies import write_remedies
from psycopg import sql

from forecast_sync_cli.client.athena import make_athena, run_query
from forecast_sync_cli.client.deployment import FunctionFailed
from forecast_sync_cli.client.files import read as read_files
from forecast_sync_cli.doctor.runner import Advice, Context, Finding

DECLARE = "`forecast-sync tables declare` declares in Glue what the table file says."
NARROW = "Runs can handle that, but your own queries fail at a number too large for that type."
ALWAYS_NEEDED = ("SELECT", "INSERT", "UPDATE")
MOST_JUDGED = 100
"""Of this many objects, at least one should be readable."""

MOST_LISTED, NAMED = 1000, 3
WIDEN = "`forecast-sync tables declare` declares them wider."
REPORT = (
    "Report this as a bug, with this output. `Verify load` would stop a run, so no wrong row "
    "would be accepted."
)


def table_file(context: Context) -> str:
    """The deployed table file is the one in this checkout."""
    found = context.deployment.table_in_use
    if found.difference:
        raise Advice(f"{found.label}.", f"{found.difference}.")
    return found.label


def declared_table(context: Context) -> str:
    """Glue declares the columns that the table file reads."""
    settings, source = context.settings, context.table.source
    name = f"{settings.athena_db_name}.{settings.forecast_table_name}"
    table = context.client("glue").get_table(
        DatabaseName=settings.athena_db_name, Name=settings.forecast_table_name
    )["Table"]
    storage = table["StorageDescriptor"]
    described = (*storage["Columns"], *table.get("PartitionKeys", []))
    columns = {item["Name"]: item["Type"] for item in described}
    wrong = [
        f"{column} is {columns.get(column, 'missing')}, expected {source.declared[column]}"
        for column, kind in source.types.items()
        if not is_declared(kind, columns.get(column))
    ]
    if wrong:
        raise Finding(f"{name}: {'; '.join(wrong)}.", DECLARE)
    if storage["Location"].rstrip("/") != settings.data_location.rstrip("/"):
        raise Finding(
            f"{name} is located at {storage['Location']}.",
            f"Change its location to {settings.data_location}.",
        )
    narrow = [
        f"{column} is {columns[column]}, expected {kind}"
        for column, kind in source.declared.items()
        if columns[column] != kind
    ]
    if narrow:
        raise Advice(f"{name}: {'; '.join(narrow)}. {NARROW}", WIDEN)
    return f"{name}, {len(source.columns)} columns as in the table file"


def workgroup(context: Context) -> str:
    """Athena's workgroup is enabled, with the engine version that our SQL needs."""
    name = context.settings.athena_workgroup
    group = context.client("athena").get_work_group(WorkGroup=name)["WorkGroup"]
    engine = group["Configuration"].get("EngineVersion", {}).get("SelectedEngineVersion", "AUTO")
    update = f"aws athena update-work-group --work-group {name}"
    if group["State"] != "ENABLED":
        raise Finding(f"The workgroup {name} is {group['State']}.", f"{update} --state ENABLED")
    if engine not in ("AUTO", "Athena engine version 3"):
        version = "EngineVersion={SelectedEngineVersion=Athena engine version 3}"
        choose = f"{update} --configuration-updates '{version}'"
        raise Finding(f"The workgroup {name} uses {engine}.", choose)
    return f"{name}, {engine}"


def database(context: Context) -> str:
    """A function reaches the branch's database, and the target matches the table file."""
    try:
        answer = context.deployment.inspect(context.git_ref, {"about": "database"})
    except FunctionFailed as failed:
        raise Finding(f"{failed.error}: {failed.message}", _database_advice(failed)) from None
    added = _columns_to_add(answer, context.table)
    differences = [item for item in answer["differences"] if item["column"] not in added]
    if differences:
        remedies = "; ".join(write_remedies(context.table, differences))
        advice = "Change the table or the table file." + (f" {remedies}." if remedies else "")
        raise Finding(f"{answer['target']}: {tell_differences(differences)}.", advice)
    if missing := missing_rights(context.table, answer.get("rights")):
        target, role = (sql.Identifier(answer[name]).as_string() for name in ("target", "user"))
        why = f", and {context.table.leaves}" if "DELETE" in missing else ", as runs do"
        raise Finding(
            f"{answer['user']} may not {' or '.join(missing)} in {answer['target']}{why}.",
            f"As its owner: GRANT {', '.join(missing)} ON {target} TO {role};",
        )
    state = "matches the table file" if answer["exists"] else "will be created by the first run"
    if added:
        state = f"gets {', '.join(added)} from the next run"
    return f"{answer['server']} as {answer['user']}; {answer['target']} {state}"


def left_out(context: Context) -> str:
    """Every file of the lake could be read, or somebody has accepted that it can't be."""
    deployed = context.deployment
    listed = read_files(deployed, MOST_LISTED, state="quarantined")
    keys = [file["key"] for file in listed if not file["accepted_at"]]
    if not keys:
        return "none"
    more = f" and {len(keys) - NAMED:,} more" if len(keys) > NAMED else ""
    raise Advice(
        f"{', '.join(keys[:NAMED])}{more} can't be read.",
        f"`forecast-sync files{deployed.table_option} --state quarantined` says why. Repair, "
        "remove or accept what is listed there.",
    )


def missing_rights(table: Table, rights: Sequence[str] | None) -> list[str]:
    """The rights on the target that runs need and the role lacks.

    None are known if the target doesn't exist yet, or the stack is of an earlier version.
    """
    if rights is None:
        return []
    deletes = ["DELETE"] if table.leaves else []
    return [right for right in (*ALWAYS_NEEDED, *deletes) if right not in rights]


def _columns_to_add(answer: Mapping[str, Any], table: Table) -> list[str]:
    """The columns that the target lacks and that the next run adds; an older stack adds none."""
    if "described" not in answer:
        return []
    return [column.name for column in find_added(DescribedTarget(**answer["described"]), table)]


def modified_time(context: Context) -> str:
    """Athena's hidden columns agree with S3."""
    source, listed = context.table.source, _list_found(context)
    query = (
        f"SELECT max({source.path}) AS path, to_iso8601(max({source.modified})) AS modified "
        f"FROM {listed_name(context.settings, context.table)} "
        f"WHERE {quote_name(partition_keys(context.table).run)} = {quote_literal(listed)}"
    )
    row = _athena(context).read_row(_run_query(context, query))
    if "path" not in row:
        return f"{source.path} and {source.modified} work; the lake has no row to compare"
    bucket, key = split_location(row["path"])
    modified = context.client("s3").head_object(Bucket=bucket, Key=key)["LastModified"]
    if row["modified"][:19] != f"{modified:%Y-%m-%dT%H:%M:%S}":
        raise Finding(
            f"{source.modified} of {row['path']} is {row['modified']}, S3 says {modified:%FT%TZ}.",
            "Name a data column as `modified` in the table file's [source].",
        )
    return f"{source.modified} is S3's LastModified"


def queries(context: Context) -> str:
    """Athena runs a run's extract and profile: over no object, and over one object of the lake."""
    table, settings = context.table, context.settings
    none = _list_objects(context, [])
    empty = _run_statements(context, lambda prefix: build_empty(table, settings, prefix, none))
    _compare(empty, "no rows", Contents())
    answers = [f"over no rows {empty.manifest}"]
    athena, listed = _athena(context), _list_found(context)
    sample = next(
        athena.read_rows(_run_query(context, build_sample(table, settings, listed))), None
    )
    if sample is None:
        answers.append("the lake has no row to run them over")
    else:
        one = _run_statements(
            context, lambda prefix: build_one(table, settings, prefix, sample, listed)
        )
        _compare(one, f"a row of {sample['path']}", None)
        unloaded = one.contents
        if not unloaded.rows and not unloaded.rejects:
            raise Finding(f"{sample['path']} is listed, and its rows aren't read.", REPORT)
        answers.append(
            f"over a row of {sample['path']} {len(unloaded.rows)} good and {len(unloaded.rejects)} "
            "rejected, as the profile counts"
        )
    return f"extract and profile: {'; '.join(answers)}"


def _list_found(context: Context) -> str:
    """The survey of the first object that runs can read, or of none; shared by all checks."""
    if "listed" not in context.shared:
        key = _find_object(context)
        context.shared["listed"] = _list_objects(context, [] if key is None else [key])
    listed: str = context.shared["listed"]
    return listed


def _find_object(context: Context) -> str | None:
    """The first object of the lake that has rows and that runs can read; None among many bad ones.

    The lake's own table in Glue may lack partitions, and a query over it may fail at a bad file.
    """
    bucket, prefix = split_location(context.settings.data_location)
    storage, large = Storage(context.client("s3")), Lock()
    items = (item for item in storage.list(bucket, prefix) if not is_hidden(item.key, prefix))
    for item in islice(items, MOST_JUDGED):
        judged = judge(storage, bucket, item, context.table, large, prefix)
        if judged and judged.state == "pending" and judged.rows:
            return item.key
    return None


def _list_objects(context: Context, keys: Sequence[str]) -> str:
    """Lists of a survey of doctor's own: these objects to take in, and no others; its id."""
    settings, table = context.settings, context.table
    survey_id = f"doctor-{secrets.token_hex(6)}.0.0"
    lists = (Storage(context.client("s3")), settings, table)
    location = f"{settings.athena_output_location}{survey_id}/"
    listed = write_paths(*lists, location, WINDOW, keys)
    others = write_paths(*lists, location, OTHER, [])
    catalog = Catalog(context.client("glue"))
    register_lists(catalog, settings, table, survey_id, listed, others)
    return survey_id


def unload(context: Context) -> str:
    """A run's extract writes a row's line untouched: backslash, tab, line ends, NULL, rounding."""
    table, settings = context.table, context.settings
    answer = _run_statements(context, lambda prefix: build_probe(table, settings, prefix))
    if not answer.files:
        raise Finding(f"{answer.extract_id} unloaded one row and names {answer.manifest}.", REPORT)
    _compare(answer, "one row", Contents(rows=[expected_line(table).encode()]))
    context.shared["probe"] = answer
    return "backslash, tab, line ends, NULL, UTF-8 and rounding arrive unchanged"


def copy(context: Context) -> str:
    """Postgres reads the probe's file into a temporary table, equal in value and checksum."""
    probe: Answer = context.shared["probe"]
    files = probe.files
    question = {"about": "probe", "bucket": files[0][0], "keys": [key for _, key in files]}
    answer = context.deployment.inspect(context.git_ref, question)
    expected = expected_values(context.table)
    if answer["rows"] != [expected]:
        raise Finding(f"Postgres read {answer['rows']}, expected {expected}.", REPORT)
    if answer["hashes"] != [probe.profile["checksum"]]:
        raise Finding(
            f"Athena's checksum is {probe.profile['checksum']}, Postgres' {answer['hashes'][0]}.",
            REPORT,
        )
    return "one row into a temporary table, equal in every value and in its checksum"


def _database_advice(failed: FunctionFailed) -> str:
    return {
        "BranchNotFound": "Create the branch in Neon, or choose another --git-ref.",
        "BranchNotMapped": "Choose a --git-ref of this environment.",
        "NeonRefused": "Put a valid API key into the stack's secret (aws secretsmanager "
        "put-secret-value), and check the parameter NeonProjectId.",
        "DatabaseAmbiguous": "Set NeonDatabaseName and NeonRoleName in the stack's parameters.",
        "DatabaseRefused": "Check the role's password and permissions.",
        "ConfigurationInvalid": "If it is the secret: put its text back (aws secretsmanager "
        "put-secret-value); one of your own needs AWS's key or the stack's KmsKeyArn.",
        SecretUnavailable.__name__: "Run doctor again in a minute. In a VPC, Secrets "
        "Manager's endpoint must be there, as docs/deploy.md lists.",
        "ServerTooOld": "Upgrade the server to Postgres 17 or newer.",
    }.get(failed.error, "Fix the cause that is named here, then run doctor again.")


@dataclass
class Contents:
    """The lines of an extract's files, by kind."""

    rows: list[bytes] = field(default_factory=list)
    rejects: list[bytes] = field(default_factory=list)

    def checksum(self) -> int:
        """The sum of 60 bits of md5 of the good lines, as the profile takes it."""
        return sum(int(hashlib.md5(line).hexdigest()[:15], 16) for line in self.rows)  # noqa: S324


@dataclass
class Answer:
    """What Athena made of an extract and its profile."""

    extract_id: str
    manifest: str
    files: list[tuple[str, str]]
    contents: Contents
    profile: dict[str, str]


def _run_statements(context: Context, build: Callable[[str], Statements]) -> Answer:
    """Run both under a prefix of their own, and read what they have written."""
    prefix = f"{context.settings.athena_output_location}doctor-{secrets.token_hex(6)}/"
    statements = build(prefix)
    extract_id = _run_query(context, statements.extract)
    athena, storage = _athena(context), Storage(context.client("s3"))
    location = athena.manifest_location(extract_id)
    content = storage.find(*split_location(location)) if location else None
    lines = (content or b"").decode().split()
    files = [split_location(line.strip('"')) for line in lines]
    if location is None:
        manifest = "no manifest"
    elif content is None:
        manifest = "a manifest that isn't there"
    else:
        manifest = f"a manifest of {len(files)} files"
    contents = Contents()
    for bucket, key in files:
        into = contents.rejects if "kind=reject" in key.split("/") else contents.rows
        into += gzip.decompress(storage.read(bucket, key)).splitlines()
    profile = athena.read_row(_run_query(context, statements.profile))
    return Answer(extract_id, manifest, files, contents, profile)


def _compare(answer: Answer, over: str, expected: Contents | None) -> None:
    """Raise a ``Finding`` unless the extract is as expected, and the profile counts the same."""
    unloaded = answer.contents
    if expected is not None and unloaded != expected:
        raise Finding(f"UNLOAD over {over} wrote {unloaded}, expected {expected}.", REPORT)
    counted = {
        "good": len(unloaded.rows),
        "rejected": len(unloaded.rejects),
        "checksum": unloaded.checksum(),
    }
    profiled = {name: int(answer.profile[name]) for name in counted}
    if profiled != counted:
        raise Finding(f"Over {over} the profile says {profiled}, the extract {counted}.", REPORT)


def _athena(context: Context) -> Athena:
    return make_athena(context.deployment, context.settings)


def _run_query(context: Context, query: str) -> str:
    return run_query(_athena(context), query)
