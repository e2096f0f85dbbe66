"""The built documentation: it builds without a warning, and its search finds what people type."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from exotel_async.cli.terminal import Exit
from tests.docs import error_texts, inventory
from tests.docs.error_texts import GAP
from tests.docs.site_search import Search

pytestmark = [pytest.mark.slow(3), pytest.mark.timeout(240)]

DOCS = Path(__file__).parents[2] / "docs"
_BUILD = """
import gc, sys
gc.set_threshold(100_000, 50, 100)  # collecting takes a third of the time otherwise
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""
OPTIONS = sorted(set(inventory.options()))


@frozen
class Site:
    """The pages as they were built.

    Attributes:
        folder: where they are.
        warnings: what Sphinx has said.
        search: their search.
    """

    folder: Path
    warnings: str
    search: Search


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Build the pages once."""
    folder = tmp_path_factory.mktemp("site")
    # To list the objects of a page beside it would take a third of the time.
    options = ("-q", "-W", "--keep-going", "-b", "html", "-D", "toc_object_entries=0")
    built = subprocess.run(
        [sys.executable, "-c", _BUILD, *options, "-d", folder / "doctrees", DOCS, folder / "html"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = built.stdout + built.stderr
    assert (built.returncode == 0) == (said == ""), said
    return Site(folder / "html", said, Search.of(folder / "html"))


def test_it_builds_without_a_warning(site: Site) -> None:
    assert site.warnings == ""


def test_every_public_name_has_its_place_in_the_reference(site: Site) -> None:
    missing = [
        f"{module}.{name}"
        for module, name in inventory.names()
        if not any(
            result.kind == "object"
            and result.name == f"{module}.{name}"
            and result.page.startswith("reference/")
            for result in site.search.find(name)
        )
    ]
    assert missing == []


def test_every_method_and_attribute_of_a_session_has_its_place(site: Site) -> None:
    missing = []
    for part, path in {"": "exotel_async.AsyncExotel", **inventory.PARTS}.items():
        kind = path.rpartition(".")[2]
        for name in (name for of, name in inventory.members() if of == kind):
            typed = f"exotel.{part}.{name}" if part else f"exotel.{name}"
            wanted = f"{path}.{name}"
            if wanted not in {result.name for result in site.search.find(typed)}:
                missing.append(typed)
    assert missing == []


def test_members_of_all_public_classes_are_found_on_the_page_of_the_class(site: Site) -> None:
    pages: dict[str, set[str]] = {}
    missing = []
    for kind, name in inventory.members():
        if kind not in pages:
            pages[kind] = {
                result.page
                for result in site.search.find(kind)
                if result.kind == "object" and result.name.rpartition(".")[2] == kind
            }
        if not pages[kind] & site.search.pages(f"{kind}.{name}"):
            missing.append(f"{kind}.{name}")
    assert missing == []


@pytest.mark.parametrize("written", ["{}", "exotel-async {} {}"])
def test_every_option_is_found_where_its_command_is(site: Site, written: str) -> None:
    missing = []
    for command, option in OPTIONS:
        typed = option if written == "{}" else f"exotel-async {command} {option}"
        page = "reference/command-line" + ("-campaign" if command.startswith("campaign ") else "")
        found = site.search.find(typed)
        place = f"{command.removeprefix('campaign ')}{option}"
        is_found = any(result.page == page for result in found)
        if written == "{}":
            is_found = any((result.page, result.anchor) == (page, place) for result in found)
        if not is_found:
            missing.append(typed)
    assert missing == []


def test_the_places_of_options_are_there(site: Site) -> None:
    for command, option in OPTIONS:
        page = "command-line" + ("-campaign" if command.startswith("campaign ") else "")
        html = (site.folder / f"reference/{page}.html").read_text(encoding="utf-8")
        assert f'id="{command.removeprefix("campaign ")}{option}"' in html


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_found_by_its_number(site: Site, code: Exit) -> None:
    found = site.search.find(f"exit code {code.value}")
    assert "reference/exit-codes" in {result.page for result in found if result.kind == "title"}
    assert f"exit-code-{code.value}" in {result.anchor for result in found}


@pytest.mark.parametrize("name", sorted(inventory.variables()))
def test_every_environment_variable_is_found_by_its_name(site: Site, name: str) -> None:
    found = {(result.page, result.kind, result.name) for result in site.search.find(name)}
    assert ("reference/environment", "object", name) in found


def test_every_text_of_an_error_is_found_as_it_is_pasted(site: Site) -> None:
    texts = error_texts.texts()
    typed = {one.text: one.text.replace(GAP, " ") for one in texts}  # what is filled in is nowhere
    missing = [text for text in typed if "troubleshooting" not in site.search.pages(typed[text])]
    assert missing == []


def test_every_word_of_the_glossary_is_found(site: Site) -> None:
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8")
    for word in re.findall(r"^(\w.*)$", glossary.partition("```{glossary}\n")[2], re.MULTILINE):
        assert "glossary" in site.search.pages(word), word


def test_what_is_on_no_page_is_not_found(site: Site) -> None:
    assert not site.search.find("NoSuchNameOfThisPackage")
    assert "reference/exit-codes" not in {
        result.page for result in site.search.find("exit code 77") if result.kind == "title"
    }
    assert not site.search.find("--frobnicate")
