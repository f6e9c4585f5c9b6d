"""The local cloud keeps what it should and leaves nothing behind, however it ends."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
from localcloud import cloud as local
from localcloud.errors import LocalCloudError

from tests.localcloud.toy_cloud import TOY, client, execute, invoke, processes
from tests.waiting import eventually


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    local.down(tmp_path / "state")
    assert processes(tmp_path / "state") == []


def test_objects_rows_and_executions_live_on_at_another_port(state_dir: Path) -> None:
    first = local.up(state_dir, template=TOY)
    client(first, "s3").put_object(Bucket=first.bucket, Key="forecast/1.parquet", Body=b"kept")
    execution = execute(first)["executionArn"]
    with psycopg.connect(first.database_urls["main"]) as connection:
        connection.execute("CREATE TABLE kept ()")
    assert local.down(state_dir)
    assert processes(state_dir) == []

    with socket.create_server(("127.0.0.1", int(first.endpoint_url.rsplit(":", 1)[1]))):
        second = local.up(state_dir, template=TOY)
    assert second.endpoint_url != first.endpoint_url
    kept = client(second, "s3").get_object(Bucket=second.bucket, Key="forecast/1.parquet")
    assert kept["Body"].read() == b"kept"
    described = client(second, "stepfunctions").describe_execution(executionArn=execution)
    assert described["status"] == "SUCCEEDED"
    with psycopg.connect(second.database_urls["main"]) as connection:
        connection.execute("SELECT FROM kept")
    assert execute(second)["status"] == "SUCCEEDED"


def test_a_later_up_updates_the_stack(state_dir: Path) -> None:
    first = local.up(state_dir, template=TOY)
    assert invoke(first)["environment"]["ENVIRONMENT"] == "dev"
    local.down(state_dir)
    second = local.up(state_dir, template=TOY, parameters={"Environment": "changed"})
    assert invoke(second)["environment"]["ENVIRONMENT"] == "changed"
    assert second.state_machine_arn == first.state_machine_arn


def test_a_cloud_is_down_at_once_while_an_execution_waits(state_dir: Path) -> None:
    cloud = local.up(state_dir, template=TOY)
    client(cloud, "stepfunctions").start_execution(
        stateMachineArn=cloud.state_machine_arn, input='{"wait": 3600}'
    )
    begun = time.monotonic()
    local.down(state_dir)
    assert time.monotonic() - begun < 10


def test_without_a_state_dir_it_begins_empty(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "DEFAULT_STATE_DIR", state_dir)
    for _ in range(2):
        cloud = local.up(template=TOY)
        s3 = client(cloud, "s3")
        assert s3.list_objects_v2(Bucket=cloud.bucket)["KeyCount"] == 0
        s3.put_object(Bucket=cloud.bucket, Key="forecast/1.parquet", Body=b"forgotten")
        local.down()


def test_a_second_up_finds_the_first(state_dir: Path) -> None:
    with ThreadPoolExecutor() as pool:
        clouds = list(pool.map(lambda _: local.up(state_dir, template=TOY), range(2)))
    assert sorted(cloud.already_running for cloud in clouds) == [False, True]
    assert clouds[0].pid == clouds[1].pid
    with pytest.raises(LocalCloudError, match="another database"):
        local.up(state_dir, "postgresql://elsewhere/db", template=TOY)


def test_after_a_killed_server_down_finds_the_rest_and_up_goes_on(state_dir: Path) -> None:
    cloud = local.up(state_dir, template=TOY)
    client(cloud, "s3").put_object(Bucket=cloud.bucket, Key="forecast/1.parquet", Body=b"kept")
    invoke(cloud)
    psutil.Process(cloud.pid).kill()
    local.down(state_dir)
    assert processes(state_dir) == []
    again = local.up(state_dir, template=TOY)
    assert client(again, "s3").head_object(Bucket=again.bucket, Key="forecast/1.parquet")
    assert execute(again)["status"] == "SUCCEEDED"


def test_running_ends_with_its_process_even_when_that_is_killed(state_dir: Path) -> None:
    script = (
        "import sys, pathlib; from localcloud import cloud\n"
        f"state_dir, toy = pathlib.Path({str(state_dir)!r}), pathlib.Path({str(TOY)!r})\n"
        "with cloud.running(state_dir, template=toy):\n"
        "    print('up', flush=True); sys.stdin.read()"
    )
    with _python(script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert len(processes(state_dir)) > 2
        process.kill()
        process.wait()
    eventually(lambda: not processes(state_dir), 20)


@pytest.mark.parametrize("sign", ["lock", "server.lock", "postgres.new", "postgres", "s3/*/*"])
def test_ctrl_c_while_it_comes_up_leaves_nothing(state_dir: Path, sign: str) -> None:
    script = (
        "import pathlib; from localcloud import cloud\n"
        f"cloud.up(pathlib.Path({str(state_dir)!r}), template=pathlib.Path({str(TOY)!r}))\n"
    )
    with _python(script) as process:
        eventually(lambda: list(state_dir.glob(sign)), 20)
        process.send_signal(signal.SIGINT)
        assert process.wait() != 0
    # A server that has only just started ends as soon as its stdin closes.
    eventually(lambda: not processes(state_dir), 20)
    assert local.up(state_dir, template=TOY).bucket == "toy-data"


def test_with_a_database_url_there_is_no_postgres(state_dir: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/elsewhere"
    with local.running(state_dir, url, template=TOY) as other:
        assert other.database_urls == {"dev": url}
        assert not [line for line in processes(state_dir) if "postgres" in line]


def test_a_directory_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(LocalCloudError, match="holds files that aren't a local cloud's"):
        local.up(tmp_path, template=TOY)
    assert not local.down(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_busy_port_is_refused(state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(LocalCloudError, match=f"port {port} .* choose another --port"):
            local.up(state_dir, template=TOY, port=port)
    assert processes(state_dir) == []


def test_a_failing_stack_is_one_line(state_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "template.yaml"
    broken.write_text("Resources: {Rule: {Type: 'AWS::No::Thing', Properties: {}}}")
    with pytest.raises(LocalCloudError, match="AWS::No::Thing") as caught:
        local.up(state_dir, template=broken)
    assert "\n" not in str(caught.value)
    assert processes(state_dir) == []


def test_a_stack_that_can_t_be_updated_says_what_to_do(state_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(TOY.parent, tmp_path / "stack")
    template = tmp_path / "stack" / TOY.name
    trust = "AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: []}"

    def write(path: str) -> None:
        role = f"  R: {{Type: AWS::IAM::Role, Properties: {{RoleName: r, Path: {path}, {trust}}}}}"
        template.write_text(TOY.read_text().replace("Resources:\n", f"Resources:\n{role}\n", 1))

    write("/before/")
    local.up(state_dir, template=template)
    local.down(state_dir)
    write("/after/")
    with pytest.raises(LocalCloudError, match=r"R: .*begin with another --state-dir\."):
        local.up(state_dir, template=template)


def _python(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
