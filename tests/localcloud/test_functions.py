"""The local cloud runs functions, queues, the API and the template as AWS does."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from localcloud import cloud as local
from localcloud.build import NESTED, package, read_template
from localcloud.cloud import Cloud
from localcloud.databases import Databases
from localcloud.worker import END_OF_LOG

from tests.localcloud.toy_cloud import TOY, client, execute, invoke
from tests.waiting import eventually
from tests.workflow.databases import superuser_url

HIDING = """
import urllib3

def handler(*_):
    print("called")
    return urllib3.whose
"""


COMPILED = Path(cache_from_source(str(TOY.parent / "layer" / "toy_layer.py")))


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    COMPILED.unlink(missing_ok=True)
    with local.running(template=TOY) as cloud:
        yield cloud


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class TestFunctions:
    def test_a_warm_environment_is_used_again(self, cloud: Cloud) -> None:
        first, second = invoke(cloud), invoke(cloud)
        assert second["pid"] == first["pid"]
        assert second["invocations"] == first["invocations"] + 1

    def test_concurrent_calls_run_in_separate_environments(self, cloud: Cloud) -> None:
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda _: invoke(cloud, sleep=1), range(3)))
        assert len({answer["pid"] for answer in answers}) == 3

    def test_it_sleeps_as_short_as_the_machine_s_waits(self) -> None:
        """Or a poll within it would take a minute, though the machine's take a second."""
        with local.running(template=TOY, wait_scale=0.01) as hurried:
            assert invoke(hurried, sleep=60)["remaining_ms"] > 0

    def test_it_sees_its_layer_its_variables_and_its_time(self, cloud: Cloud) -> None:
        answer = invoke(cloud)
        assert answer["greeting"] == "from the layer"
        assert answer["environment"] == {
            "ENVIRONMENT": "dev",
            "AWS_REGION": "us-east-2",
            "NEON_API_URL": cloud.neon_api_url,
        }
        assert 1500 < answer["remaining_ms"] <= 2000

    @pytest.mark.usefixtures("cloud")
    def test_its_layer_is_compiled_for_whoever_it_runs_as(self) -> None:
        """It can't write there itself, and would compile the layer at each cold start."""
        assert COMPILED.stat().st_mode & 0o044 == 0o044

    def test_its_own_module_comes_before_a_package_of_that_name(self, cloud: Cloud) -> None:
        """Though what forks functions has imported the package."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("urllib3.py", "whose = 'its own'")
            zipped.writestr("handler.py", HIDING)
        functions = client(cloud, "lambda")
        functions.create_function(
            FunctionName="toy-hiding", Runtime="python3.13", Handler="handler.handler",
            Role="arn:aws:iam::000000000000:role/added", Code={"ZipFile": archive.getvalue()},
        )  # fmt: skip
        answer = functions.invoke(FunctionName="toy-hiding", Payload=b"{}")
        assert json.loads(answer["Payload"].read()) == "its own"

    def test_other_processes_see_its_variables_as_those_of_any_process(self, cloud: Cloud) -> None:
        variables = psutil.Process(invoke(cloud)["pid"]).environ()
        assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "toy-probe"
        assert variables["ENVIRONMENT"] == "dev"
        assert variables["STATE_DIR"] == f"{cloud.state_dir}/aws"
        assert not any("PADDING" in name for name in variables)

    def test_what_forks_functions_knows_no_key_and_no_function(self, cloud: Cloud) -> None:
        invoke(cloud)
        (forking,) = [
            process
            for process in psutil.Process(cloud.pid).children()
            if any("forking_worker.py" in part for part in process.cmdline())
            and "AWS_LAMBDA_FUNCTION_NAME" not in process.environ()
        ]
        with Path(f"/proc/{forking.pid}/maps").open() as maps:
            ranges = [line.split() for line in maps]
        memory = b""
        with Path(f"/proc/{forking.pid}/mem").open("rb", 0) as file:
            for addresses, rights, *_ in ranges:
                if rights.startswith("rw"):
                    begin, end = (int(address, 16) for address in addresses.split("-"))
                    file.seek(begin)
                    memory += file.read(end - begin)
        assert b"AWS_LAMBDA_LOG_FORMAT" in memory
        for secret in (cloud.access_key_id, cloud.secret_access_key, "from the layer", "toy-probe"):
            assert secret.encode() not in memory

    def test_an_error_arrives_by_its_name_in_the_state_machine(self, cloud: Cloud) -> None:
        assert execute(cloud)["status"] == "SUCCEEDED"
        assert execute(cloud, fail=True)["error"] == "ProbeFailed"

    def test_a_call_past_its_timeout_is_killed(self, cloud: Cloud) -> None:
        pid = invoke(cloud)["pid"]
        assert invoke(cloud, sleep=10)["errorType"] == "Sandbox.Timedout"
        assert has_ended(pid)

    def test_a_call_ends_in_its_environment_while_the_function_is_updated(
        self, cloud: Cloud
    ) -> None:
        functions, s3 = client(cloud, "lambda"), client(cloud, "s3")
        described = functions.get_function_configuration(FunctionName="toy-probe")
        variables = described["Environment"]["Variables"]

        def update(**changed: str) -> None:
            functions.update_function_configuration(
                FunctionName="toy-probe", Environment={"Variables": {**variables, **changed}}
            )

        def batches() -> list[dict[str, Any]]:
            listed = s3.list_objects_v2(Bucket=cloud.results_bucket).get("Contents", [])
            return list(listed)

        before = invoke(cloud)
        assert batches() == []
        with ThreadPoolExecutor() as pool:
            going_on = pool.submit(invoke, cloud, Records=[], sleep=1)
            (begun,) = eventually(batches, what="the beginning of the call")
            update(ENVIRONMENT="updated")
            after, during = invoke(cloud), going_on.result()
        update()
        s3.delete_object(Bucket=cloud.results_bucket, Key=begun["Key"])
        assert (during["pid"], during["environment"]["ENVIRONMENT"]) == (before["pid"], "dev")
        assert after["environment"]["ENVIRONMENT"] == "updated"
        eventually(lambda: has_ended(before["pid"]), what="the end of the old environment")

    def test_what_it_prints_is_in_the_log_group_of_the_template(self, cloud: Cloud) -> None:
        logs = client(cloud, "logs")
        before = logs.filter_log_events(logGroupName="/aws/lambda/toy-dev").get("events", [])
        for event in ({}, {"fail": True}, {}):
            client(cloud, "lambda").invoke(FunctionName="toy-probe", Payload=json.dumps(event))
        after = logs.filter_log_events(logGroupName="/aws/lambda/toy-dev")["events"]
        printed = [item["message"].split()[0] for item in after[len(before) :]]
        assert printed.count("START") == printed.count("END") == 3
        shown = "".join(word[0] for word in printed if word in {"START", "END", '{"probe":'})
        assert shown == "S{E" * 3
        assert {"probe": "called"} in [
            json.loads(item["message"]) for item in after if item["message"].startswith("{")
        ]
        assert not [item for item in after if END_OF_LOG in item["message"]]

    def test_the_api_wants_a_signature(self, cloud: Cloud) -> None:
        request = AWSRequest("GET", f"{cloud.api_url}/status")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(str(request.url)))
        SigV4Auth(
            Credentials(cloud.access_key_id, cloud.secret_access_key), "execute-api", cloud.region
        ).add_auth(request)
        with urllib.request.urlopen(
            urllib.request.Request(str(request.url), headers=dict(request.headers))
        ) as answer:
            assert json.loads(answer.read())["greeting"] == "from the layer"

    def test_functions_start_without_what_forks_them(self, cloud: Cloud) -> None:
        """Last here: this cloud's functions are started by the slow way from now on."""
        for process in psutil.Process(cloud.pid).children():
            if "AWS_LAMBDA_FUNCTION_NAME" not in process.environ() and any(
                "forking_worker.py" in part for part in process.cmdline()
            ):
                process.kill()
                eventually(partial(has_ended, process.pid), what="its end")
        client(cloud, "lambda").update_function_configuration(
            FunctionName="toy-probe", Description="started again"
        )
        assert invoke(cloud)["greeting"] == "from the layer"


def test_a_burst_of_uploads_is_one_batch(cloud: Cloud) -> None:
    s3 = client(cloud, "s3")
    uploaded = [f"forecast/{number:02}.parquet" for number in range(25)]
    for key in [*uploaded, "forecast/notes.txt", "other/1.parquet"]:
        s3.put_object(Bucket=cloud.bucket, Key=key, Body=b"x")
    answer = eventually(lambda: s3.list_objects_v2(Bucket=cloud.results_bucket).get("Contents"), 20)
    batches = [
        json.loads(s3.get_object(Bucket=cloud.results_bucket, Key=o["Key"])["Body"].read())
        for o in answer
    ]
    assert [sorted(batch) for batch in batches] == [uploaded]


def test_a_new_branch_has_the_rows_of_its_parent_even_while_someone_is_connected(
    cloud: Cloud,
) -> None:
    with psycopg.connect(cloud.database_urls["dev"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        url = Databases(superuser_url(cloud)).create("preview/pr-8", "dev")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchall() == [(1,)]


def test_the_template_is_changed_in_what_the_docstring_says_and_nothing_else() -> None:
    original, packaged = read_template(local.TEMPLATE), package(local.TEMPLATE, "http://artifacts")
    nested = [name for name, item in original["Resources"].items() if item["Type"] == NESTED]
    for name in nested:
        path = original["Resources"][name]["Properties"]["TemplateURL"]
        url = packaged.template["Resources"][name]["Properties"]["TemplateURL"]
        deployed = json.loads(packaged.artifacts[url.removeprefix("http://artifacts/")])
        written = read_template(local.CHECKOUT / path)
        assert deployed == written
    del original["Resources"]["CoreLayer"], original["Resources"]["TablesLayer"]
    changed = {"CodeUri", "Runtime", "DefinitionUri", "TemplateURL"}
    for template in (original, packaged.template):
        for name in ("Layers", "Architectures", "Runtime"):
            template["Globals"]["Function"].pop(name, None)
        for resource in template["Resources"].values():
            for name in changed & resource["Properties"].keys():
                del resource["Properties"][name]
    assert packaged.template == original
