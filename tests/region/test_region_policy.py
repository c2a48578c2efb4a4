"""Policies of a region: what they decide, and the operator's file."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from meltemi.errors import ConfigurationError, ForbiddenError, VanishedError
from meltemi.model.image import Hashes, Image
from meltemi.region.context import Context
from meltemi.region.identity.nobody import RULES
from meltemi.region.policy import Policy
from meltemi.region.rules import POLICIES
from meltemi.region.targets import of_image, of_namespace, of_new_image, of_project

OWNER = Context(user="u", project="p", roles=frozenset({"member", "reader"}))
READER = Context(user="u", project="p", roles=frozenset({"reader"}))
OTHER = Context(user="v", project="q", roles=frozenset({"member", "reader"}))
ADMIN = Context(user="a", project="a", roles=frozenset({"admin"}))

POLICY = Policy()
PRIVATE = Image("1", owner="p")
SHARED = Image("2", owner="p", visibility="shared")


def image_error(context: Context, rule: str, image: Image) -> str:
    with pytest.raises((ForbiddenError, VanishedError)) as caught:
        POLICY.demand_of_image(context, rule, of_image(context, image))
    return f"{type(caught.value).__name__}: {caught.value}"


def test_what_may_not_be_done_is_named() -> None:
    assert (
        image_error(READER, "delete_image", PRIVATE)
        == "ForbiddenError: You are not authorized to complete delete_image action."
    )


@pytest.mark.parametrize("rule", ["get_image", "delete_image", "get_members"])
def test_whoever_may_not_see_an_image_is_told_that_there_is_none(rule: str) -> None:
    assert image_error(OTHER, rule, PRIVATE) == "VanishedError: No image found with ID 1"


def test_a_member_sees_a_shared_image_and_answers() -> None:
    POLICY.demand_of_image(OTHER, "modify_member", of_image(OTHER, SHARED))
    assert image_error(OTHER, "add_member", SHARED).startswith("ForbiddenError: ")
    assert not POLICY.allows(OWNER, "modify_member", of_image(OWNER, SHARED))


def test_a_namespace_that_may_not_be_seen_is_said_not_to_be_there() -> None:
    with pytest.raises(VanishedError, match="namespace=CIM was not found"):
        POLICY.demand_of_namespace(
            OTHER, "get_metadef_objects", of_namespace("CIM", "p", "private")
        )
    with pytest.raises(ForbiddenError):
        POLICY.demand_of_namespace(OTHER, "add_metadef_object", of_namespace("CIM", "p", "public"))
    POLICY.demand_of_namespace(OTHER, "get_metadef_objects", of_namespace("CIM", "p", "public"))


@pytest.mark.parametrize(
    ("context", "attributes", "message"),
    [
        (OWNER, {"owner": "q"}, "You are not permitted to create images owned by 'q'"),
        (READER, {}, "You are not authorized to complete add_image action."),
        (
            OWNER,
            {"visibility": "public"},
            "You are not authorized to complete publicize_image action.",
        ),
    ],
)
def test_who_may_not_make_an_image(
    context: Context, attributes: dict[str, object], message: str
) -> None:
    with pytest.raises(ForbiddenError) as caught:
        POLICY.demand_new_image(context, attributes)
    assert str(caught.value) == message


def test_who_may_make_an_image() -> None:
    POLICY.demand_new_image(OWNER, {"visibility": "community"})
    POLICY.demand_new_image(ADMIN, {"owner": "q", "visibility": "public"})


@pytest.mark.parametrize(
    "context",
    [
        Context(user="a", domain="d", roles=frozenset({"admin"})),
        Context(user="a", system_scope="all", roles=frozenset({"admin"})),
    ],
    ids=["domain", "system"],
)
def test_only_tokens_of_projects_are_let_in(context: Context) -> None:
    assert POLICY.is_admin(context)
    assert not any(POLICY.allows(context, rule, of_project(context)) for rule in POLICIES)


def test_without_authentication_everybody_is_an_administrator() -> None:
    policy = Policy(base=RULES)
    somebody = Context()
    assert policy.allows(somebody, "delete_image", of_image(somebody, PRIVATE))
    assert not POLICY.allows(somebody, "delete_image", of_image(somebody, PRIVATE))


def test_a_rule_that_does_not_exist_is_a_defect() -> None:
    with pytest.raises(KeyError):
        POLICY.allows(ADMIN, "get_imaage", {})
    assert (POLICY.knows("get_image"), POLICY.knows("get_imaage")) == (True, False)


def test_what_is_known_of_an_image() -> None:
    image = Image(
        "1",
        name="debian",
        owner="p",
        visibility="shared",
        size=5,
        hashes=Hashes("md5", "sha512", "value"),
        properties={"os_distro": "debian", "owner": "forged", "project_id": "q"},
    )
    target = of_image(OTHER, image)
    assert {key: target[key] for key in ("owner", "project_id", "member_id", "os_distro")} == {
        "owner": "p",
        "project_id": "p",
        "member_id": "q",
        "os_distro": "debian",
    }
    assert of_image(OWNER, image)["member_id"] is None
    assert of_new_image(OWNER, {}) == {"project_id": "p", "owner": "p", "visibility": "private"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    file = tmp_path / "policy.yaml"

    def write(text: str) -> Path:
        # As editors and deployment tools do, so that no half of a file is ever read.
        new = tmp_path / "new"
        new.write_text(text)
        return new.replace(file)

    return write


def test_an_operators_rules_take_the_place_of_glances(write: Callable[[str], Path]) -> None:
    policy = Policy(write('"get_images": "role:auditor"\nauditor_or_admin: "role:auditor"\n'))
    assert not policy.allows(OWNER, "get_images", of_project(OWNER))
    assert policy.allows(OWNER, "get_image", of_image(OWNER, PRIVATE))
    assert policy.knows("auditor_or_admin")


@pytest.mark.parametrize("text", ["", "# get_images: '!'\n", '{"get_images": ""}', "{}"])
def test_any_yaml_will_do(write: Callable[[str], Path], text: str) -> None:
    assert Policy(write(text)).allows(OWNER, "get_images", of_project(OWNER))


def test_a_file_that_changes_is_read_again(write: Callable[[str], Path]) -> None:
    policy = Policy(write('get_images: "!"'))
    policy.refresh()
    assert not policy.allows(OWNER, "get_images", of_project(OWNER))
    write('get_images: "@"')
    policy.refresh()
    assert policy.allows(OWNER, "get_images", of_project(OWNER))


def test_a_file_that_went_wrong_changes_nothing_and_is_told_once(
    write: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    file = write('get_images: "!"')
    policy = Policy(file)
    for text in ('get_images: "@"\nadd_image: role admin', None):
        if text is None:
            file.unlink()
        else:
            write(text)
        caplog.clear()
        for _ in range(3):
            policy.refresh()
        assert not policy.allows(OWNER, "get_images", of_project(OWNER))
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "stay in force" in caplog.text
    write('get_images: "@"')
    policy.refresh()
    assert policy.allows(OWNER, "get_images", of_project(OWNER))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: '@'\nget_images: 'role admin'",
            "2: get_images: 'role' is no check such as role:admin",
        ),
        ("a: 'rule:b'\nb: 'rule:a'", "2: b: goes round in circles by way of 'a'"),
        ("\nget_images:", "2: get_images: has no value; remove it or fill it in"),
        ("get_images: [[role:admin]]", "1: get_images: has to be text; put it in quotes"),
        ("get_images: true", "1: get_images: has to be text; put it in quotes"),
        ("- get_images", "1: has to be a mapping of policies to rules"),
        ("a: '@'\na: '!'", "2: a: given twice, first on line 1"),
        ("a: @", "1: while scanning for the next token, found character '@' that cannot start"),
    ],
)
def test_what_is_wrong_with_a_file(write: Callable[[str], Path], text: str, message: str) -> None:
    file = write(text)
    with pytest.raises(ConfigurationError) as caught:
        Policy(file)
    assert message in str(caught.value).removeprefix(f"{file}:")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        Policy(tmp_path / "policy.yaml")
