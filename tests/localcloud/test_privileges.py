"""Root's local cloud runs nothing as root, and no function reaches another's files."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from localcloud import cloud as local
from localcloud.build import package
from localcloud.cloud import Cloud
from localcloud.errors import LocalCloudError

from tests.localcloud.toy_cloud import TOY, client, invoke, processes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    state_dir = tmp_path_factory.mktemp("privileges") / "state"
    with local.running(state_dir, template=TOY) as cloud:
        yield cloud


def attack(cloud: Cloud, *paths: str | Path, write: str | None = None) -> dict[str, str]:
    return dict(invoke(cloud, attack=[str(path) for path in paths], write=write))


def own(cloud: Cloud) -> dict[str, str]:
    """The function's own view of its process."""
    lines = attack(cloud, "/proc/self/status")["/proc/self/status"].splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_a_function_has_no_right_of_root_s(cloud: Cloud) -> None:
    environment = own(cloud)
    users = {environment["Uid"], environment["Gid"]}
    assert not any("0" in ids.split() for ids in users)
    assert environment["Groups"] == ""
    assert environment["NoNewPrivs"] == "1"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(environment[kind], 16) == 0, kind


def test_no_process_but_the_server_is_root(cloud: Cloud) -> None:
    invoke(cloud)
    started = psutil.Process(cloud.pid).children(recursive=True)
    assert len(started) > 2
    for process in started:
        assert 0 not in process.uids()
        assert 0 not in process.gids()
    by_user = {process.uids().real: process.name() for process in started}
    assert "postgres" in by_user.values()
    assert len(by_user) == 3, "Postgres, the function and what forks functions are three users"


def test_a_function_reads_nothing_of_the_state_directory(cloud: Cloud) -> None:
    state_dir = Path(cloud.state_dir)
    secrets = [
        state_dir / name
        for name in ("cloud.json", "postgres.password", "logs/server.log", "tmp", "aws", "s3", ".")
    ]
    secrets += [*(state_dir / "aws").rglob("*"), *state_dir.glob("postgres/*")]
    # And along what it got open instead of paths.
    opened = [Path(f"/proc/self/fd/{number}") for number in range(100, 112)]
    for folder in opened:
        for steps in range(1, 8):
            secrets.append(Path(str(folder) + "/.." * steps + "/cloud.json"))
            secrets.append(Path(str(folder) + "/.." * steps + "/postgres.password"))
    answers = attack(cloud, *secrets)
    read = {
        path: outcome for path, outcome in answers.items() if outcome.startswith(("read", "listed"))
    }
    assert read == {}


def test_a_function_reads_nothing_of_other_processes(cloud: Cloud) -> None:
    own_pid = invoke(cloud)["pid"]
    processes = [cloud.pid, os.getpid(), 1]
    processes += [child.pid for child in psutil.Process(cloud.pid).children(recursive=True)]
    files = [
        f"/proc/{pid}/{name}"
        for pid in processes
        if pid != own_pid
        for name in ("environ", "mem", "maps", "fd", "cwd/cloud.json", "root/etc/shadow")
    ]
    answers = attack(cloud, *files, "/etc/shadow", "/root")
    assert set(answers.values()) <= {"PermissionError"}


def test_a_function_writes_its_temporary_files_only(cloud: Cloud) -> None:
    wanted = os.getpid()
    paths = [
        f"{cloud.state_dir}/new",
        f"/proc/{cloud.pid}/cwd/new",
        "/proc/self/fd/100/new",
        "/proc/self/cwd/handler.py",
        "/proc/self/cwd/new",
        "/etc/new",
        "/root/new",
        f"/proc/{cloud.pid}/oom_score_adj",
    ]
    answers = attack(cloud, *paths, write=str(wanted))
    assert {path for path, outcome in answers.items() if outcome == "written"} == set()
    environment = attack(cloud, "/proc/self/environ")["/proc/self/environ"]
    (temporary,) = [
        entry.removeprefix("TMPDIR=")
        for entry in environment.removeprefix("read ").split("\0")
        if entry.startswith("TMPDIR=")
    ]
    assert set(attack(cloud, f"{temporary}/new", write="mine").values()) == {"written"}


def test_everything_that_is_written_is_closed_to_others(cloud: Cloud) -> None:
    invoke(cloud)
    client(cloud, "s3").put_object(Bucket=cloud.bucket, Key="forecast/1.parquet", Body=b"rows")
    for path in (Path(cloud.state_dir), *Path(cloud.state_dir).rglob("*")):
        if path.is_symlink() or not path.exists():
            continue
        assert path.stat().st_mode & 0o077 == 0, path


def add(cloud: Cloud, name: str, runtime: str, code: bytes) -> tuple[Any, str]:
    """Create a function and call it; returns its answer, and the name of its error if any."""
    functions = client(cloud, "lambda")
    functions.create_function(
        FunctionName=name, Runtime=runtime, Handler="handler.handler", Timeout=5,
        Role="arn:aws:iam::000000000000:role/added", Code={"ZipFile": code},
        Environment={"Variables": {"SECRET": f"of {name}", "RESULTS_BUCKET": "none"}},
    )  # fmt: skip
    answer = functions.invoke(FunctionName=name, Payload=b"{}")
    return json.loads(answer["Payload"].read()), answer.get("FunctionError", "")


@pytest.mark.parametrize("runtime", ["provided.al2023", "python3.11", "nodejs22.x"])
def test_a_function_that_is_added_later_is_not_root_either(
    cloud: Cloud, runtime: str, tmp_path: Path
) -> None:
    """Another runtime than ours may fail to start; what starts isn't root."""
    victim = tmp_path / "victim"
    mark = f"touch {victim}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("bootstrap", f"#!/bin/sh\n{mark}\nid\n")
        zipped.writestr("handler.py", f"import os; os.system({mark!r})\ndef handler(*_): return 1")
        zipped.writestr("handler.js", f"require('child_process').execSync({mark!r})")
    outcome, error = add(cloud, f"added-{runtime[:4]}", runtime, archive.getvalue())
    assert error
    assert "uid=0" not in str(outcome)
    # A Python function is started by a bootstrap, too.
    assert ("uid=" in str(outcome)) == (runtime != "nodejs22.x")
    assert not victim.exists()


def test_two_functions_can_t_look_at_each_other(cloud: Cloud) -> None:
    """Each has its own user."""
    built = package(TOY, "http://artifacts")
    code = built.template["Resources"]["ProbeFunction"]["Properties"]["CodeUri"]["Key"]
    outcome, _ = add(cloud, "second", "provided.al2023", built.artifacts[code])
    second = outcome["pid"]
    assert b"of second" in Path(f"/proc/{second}/environ").read_bytes()
    answers = attack(cloud, f"/proc/{second}/environ", f"/proc/{second}/cwd/handler.py")
    assert set(answers.values()) == {"PermissionError"}


def test_a_layer_that_others_can_t_read_is_refused(tmp_path: Path) -> None:
    """As after a clone with umask 077."""
    shutil.copytree(TOY.parent, tmp_path / "stack")
    (tmp_path / "stack" / "layer").chmod(0o700)
    with pytest.raises(LocalCloudError, match=r"`chmod -R o\+rX .*/layer`") as caught:
        local.up(tmp_path / "state", template=tmp_path / "stack" / TOY.name)
    assert "\n" not in str(caught.value)
    assert processes(tmp_path / "state") == []
