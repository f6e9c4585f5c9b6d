"""Who may become the roles of templates/github.yaml: GitHub's tokens, right and forged."""

from __future__ import annotations

import re

import pytest

from tests.contract.iam import Request, matches
from tests.contract.rendering import Rendered, broken_rules, render
from tests.contract.stack import load_template

GITHUB = "templates/github.yaml"
ISSUER = "token.actions.githubusercontent.com"
OWNER, NAME, OWNER_ID, REPO_ID = "Octo-Org", "fore.cast_1", "123456", "456789"
ENVIRONMENTS = {
    "SyncRole": {"dev", "dev-sync"},
    "PreviewRole": {"pull-request"},
    "ChangeSetRole": {"dev-preview"},
    "DeployRole": {"dev"},
}
CLASSIC = f"repo:{OWNER}/{NAME}"
IMMUTABLE = f"repo:{OWNER}@{OWNER_ID}/{NAME}@{REPO_ID}"
FOREIGN = [
    f"repo:{OWNER}/{NAME}x",
    f"repo:{OWNER}/x{NAME}",
    f"repo:x{OWNER}/{NAME}",
    f"repo:{OWNER}x/{NAME}",
    f"repo:{OWNER.lower()}/{NAME}",
    f"repo:evil/{OWNER}/{NAME}",
    f"repo:{OWNER}/fore-cast_1",
    f"repo:{OWNER}@9/{NAME}@{REPO_ID}",
    f"repo:{OWNER}@{OWNER_ID}/{NAME}@9",
    f"repo:{OWNER}@{OWNER_ID}1/{NAME}@{REPO_ID}",
    f"repo:{OWNER}@{OWNER_ID}/{NAME}@{REPO_ID}1",
    f"repo:{OWNER}@/{NAME}@",
    f"repo:{OWNER}@{OWNER_ID}/{NAME}",
    f"repo:{OWNER}/{NAME}@{REPO_ID}",
    f"repo:evil@{OWNER_ID}/{NAME}@{REPO_ID}",
    f"repo:{OWNER}@*/{NAME}@*",
    f"repository:{OWNER}/{NAME}",
]
CONTEXTS = [
    ":pull_request",
    ":ref:refs/heads/main",
    ":ref:refs/tags/environment:dev",
    ":environment:",
    ":environment:production",
    ":environment:dev-sync2",
    ":environment:xdev",
    ":environment:Dev",
    ":environment:dev:environment:production",
    ":environment:*",
    "",
]


def rendered(ids: bool = True) -> Rendered:
    given = {"RepositoryOwnerId": OWNER_ID, "RepositoryId": REPO_ID} if ids else {}
    return render(GITHUB, Repository=f"{OWNER}/{NAME}", Environment="dev", **given)


def accepts(template: Rendered, role: str, sub: str, audience: str = "sts.amazonaws.com") -> bool:
    """Whether the holder of such a token can assume the role."""
    context = {f"{ISSUER}:sub": sub, f"{ISSUER}:aud": audience}
    request = Request("sts:AssumeRoleWithWebIdentity", "*", context)
    return any(matches(item, request) for item in template.trust(role))


@pytest.mark.parametrize("role", ENVIRONMENTS)
@pytest.mark.parametrize("repository", [CLASSIC, IMMUTABLE])
def test_a_role_trusts_both_forms_of_its_repository_in_its_environments(
    role: str, repository: str
) -> None:
    known = {name for names in ENVIRONMENTS.values() for name in names}
    trusted = {
        name for name in known if accepts(rendered(), role, f"{repository}:environment:{name}")
    }
    assert trusted == ENVIRONMENTS[role]


@pytest.mark.parametrize("role", ENVIRONMENTS)
@pytest.mark.parametrize("ids", [True, False])
def test_a_role_trusts_no_other_principal(role: str, ids: bool) -> None:
    template = rendered(ids)
    forged = [f"{who}:environment:{name}" for who in FOREIGN for name in ENVIRONMENTS[role]]
    forged += [f"{who}{context}" for who in (CLASSIC, IMMUTABLE) for context in CONTEXTS]
    assert [sub for sub in forged if accepts(template, role, sub)] == []


@pytest.mark.parametrize("role", ENVIRONMENTS)
def test_another_audience_is_refused(role: str) -> None:
    sub = f"{IMMUTABLE}:environment:{min(ENVIRONMENTS[role])}"
    assert accepts(rendered(), role, sub)
    assert not accepts(rendered(), role, sub, f"https://github.com/{OWNER}")


@pytest.mark.parametrize("role", ENVIRONMENTS)
def test_without_ids_a_token_with_ids_is_refused(role: str) -> None:
    environment = min(ENVIRONMENTS[role])
    assert accepts(rendered(ids=False), role, f"{CLASSIC}:environment:{environment}")
    assert not accepts(rendered(ids=False), role, f"{IMMUTABLE}:environment:{environment}")


@pytest.mark.parametrize("role", ENVIRONMENTS)
def test_a_trust_policy_has_no_wildcard_and_no_other_operator(role: str) -> None:
    [statement] = rendered().trust(role)
    [(operator, keys)] = statement["Condition"].items()
    assert operator == "StringEquals"
    assert set(keys) == {f"{ISSUER}:aud", f"{ISSUER}:sub"}
    assert not re.search(r"[*?$]", str(keys))


def test_one_id_alone_is_refused() -> None:
    for owner, repository, is_refused in (
        ("", "", False),
        ("1", "2", False),
        ("1", "", True),
        ("", "2", True),
    ):
        broken = broken_rules(GITHUB, RepositoryOwnerId=owner, RepositoryId=repository)
        assert bool(broken) == is_refused


@pytest.mark.parametrize(
    "repository",
    [
        "o/n",
        "Octo-Org/.github",
        "octo/octo.github.io",
        "a" * 39 + "/" + "b" * 100,
        "mona_octo/_.-",
        "0/1",
        "old-name-/--x",
    ],
)
def test_every_legal_repository_is_taken(repository: str) -> None:
    assert re.fullmatch(
        load_template(GITHUB)["Parameters"]["Repository"]["AllowedPattern"], repository
    )


@pytest.mark.parametrize(
    "repository",
    ["o/*", "*/n", "o", "o/n/x", "o/n:environment:x", "o@1/n@2", "o/${aws:x}", "o/n?", "", "o/n\n"],
)
def test_what_could_mean_more_than_one_repository_is_refused(repository: str) -> None:
    pattern = load_template(GITHUB)["Parameters"]["Repository"]["AllowedPattern"]
    assert not re.fullmatch(pattern, repository)
