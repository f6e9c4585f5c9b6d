"""The AWS CLI as the workflows' scripts call it; they need nothing but Python and that CLI.

Whoever imports it finds the package ``forecast_sync`` too, as far as that needs no more either.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "layers/core"))


class AwsRefused(Exception):
    """The AWS CLI ended with an error; its text is the message."""


class FunctionFailed(AwsRefused):
    """A function has raised; ``error`` is the class's name."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error


def aws(*arguments: str) -> dict[str, Any]:
    """The JSON answer of an AWS CLI command; raises ``AwsRefused``."""
    ended = subprocess.run(
        ["aws", *arguments, "--output", "json"], check=False, capture_output=True, text=True
    )
    if ended.returncode:
        raise AwsRefused(" ".join(ended.stderr.split()))
    answer: dict[str, Any] = json.loads(ended.stdout or "{}")
    return answer


def invoke(function: str, event: dict[str, Any]) -> dict[str, Any]:
    """A function's answer; raises ``FunctionFailed`` with what the function has raised."""
    with tempfile.TemporaryDirectory() as folder:
        request, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        request.write_text(json.dumps(event))
        # Version 1 of the CLI wants text and version 2 base64; both take the bytes of a file.
        payload = f"fileb://{request}"
        called = aws(
            "lambda", "invoke", "--function-name", function, "--payload", payload, str(answer)
        )
        found: dict[str, Any] = json.loads(answer.read_text() or "{}")
    if "FunctionError" in called:
        raise FunctionFailed(str(found.get("errorType")), str(found.get("errorMessage")))
    return found


def stack_name(environment: str) -> str:
    """``PROJECT-ENVIRONMENT``, by ``PROJECT_NAME``; what the stack has begins with it."""
    from forecast_sync import stack_names

    project = os.environ.get("PROJECT_NAME") or stack_names.DEFAULT_PROJECT
    return stack_names.stack_name(project, environment)


def machine_arn(environment: str) -> str:
    """The state machine's ARN, from the name and whoever calls."""
    partition, account = aws("sts", "get-caller-identity")["Arn"].split(":")[1:5:3]
    region = os.environ["AWS_REGION"]
    return f"arn:{partition}:states:{region}:{account}:stateMachine:{stack_name(environment)}"


def fail(message: str) -> int:
    """Say why as GitHub shows it, on one line; the exit code."""
    annotate("error", message)
    return 1


def annotate(kind: str, message: str) -> None:
    """An ``error`` or a ``warning`` of the job; nothing in its text is a command."""
    # What the runner shows, it unescapes.
    print(f"::{kind}::{_plain(message).replace('%', '%25')}", file=sys.stderr)


def say(text: str) -> None:
    """Print a line in which the runner finds no command, whatever names are in it."""
    line = _plain(text)
    print(f"> {line}" if line.lstrip().startswith("::") else line, flush=True)


def answer(name: str, value: str) -> None:
    """Hand a value to the following steps and jobs; raises ``ValueError`` for more than a line."""
    if not value.isprintable():
        raise ValueError(f"{name} is more than one printable line: {value!r}")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as outputs:
        outputs.write(f"{name}={value}\n")
    say(f"{name}: {value}")


def code(text: str) -> str:
    """``text`` as it is in a job's summary: code that no backtick in it ends."""
    line = visible(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def visible(text: str) -> str:
    """``text`` on one line, with what no screen shows written out."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _plain(text: str) -> str:
    """One line without the runner's older mark of a command, which counts anywhere in a line."""
    return visible(text).replace("##[", "## [")
