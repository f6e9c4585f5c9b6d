"""Rows that leave the target: tombstones, keys that are missing in the lake, and the guard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from localcloud.protocol import Athena

from tests.lake import MORNING, make_row, make_rows
from tests.workflow.leaving import (
    BOTH,
    declare,
    expected,
    to_parquet,
    tombstone,
)
from tests.workflow.project import Project, copied_project

LATER = MORNING + timedelta(hours=1)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, athena: Athena) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    with copied_project(folder, wait_scale=0.02, athena=athena) as project:
        declare(project)
        project.deploy(BOTH)
        project.warm_up()
        yield project


@pytest.fixture
def project(copied: Project) -> Project:
    copied.reset()
    copied.deploy(BOTH)
    return copied


def test_a_tombstone_deletes_its_key_and_a_newer_row_brings_it_back(project: Project) -> None:
    project.upload("rows", make_rows(range(5)))
    project.succeed()
    project.upload("gone", to_parquet([tombstone(1, updated_at=LATER), tombstone(9)]))
    ended = project.succeed()
    assert ended.counts["deleted"] == 1
    assert ended.counts["rejected"] == 0
    assert ended.changed == (0, 0, 0)
    assert project.table() == expected(project.files)
    assert len(project.table()) == 4
    project.upload("older", [make_row(1, updated_at=LATER - timedelta(minutes=1))])
    assert project.succeed().changed == (0, 0, 0)
    assert len(project.table()) == 4
    project.upload("back", [make_row(1, updated_at=LATER + timedelta(minutes=1))])
    assert project.succeed().changed == (1, 0, 0)
    assert project.table() == expected(project.files)


def test_a_key_that_is_in_no_file_any_more_leaves(project: Project) -> None:
    project.upload("a", make_rows(range(6)))
    project.upload("b", make_rows(range(6, 12)))
    project.succeed()
    project.delete("b")
    project.upload("a", [*make_rows(range(4)), make_row(4, state=None)])
    ended = project.succeed()
    # A reject's key is still in the lake.
    assert ended.counts["deleted"] == 7
    assert {key[0] for key in project.table()} == {0, 1, 2, 3, 4}
    assert project.succeed(sync_type="full").counts["deleted"] == 0
