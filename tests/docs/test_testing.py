"""The pages in docs/: each example in them is a program or a test that runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import files
from tests.test_pytest_plugin import ASYNCIO, run

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow(6)

DOCS = Path(__file__).parents[2] / "docs/how-to"
TESTING = (DOCS / "testing.md").read_text(encoding="utf-8")
COMMANDS = {
    "js": ("dial.test.mjs", "node", "--test", "dial.test.mjs"),
    "php": ("DialTest.php", "phpunit", "DialTest.php"),
    "java": ("DialTest.java", "java", "DialTest.java"),
}
"""The name of the file, and how it is run."""
PASSED = {
    "js": r"# pass 1\n# fail 0",
    "php": r"OK \(1 test, 2 assertions\)",
    "java": r"placed \w{32}",
}


def blocks(language: str) -> list[str]:
    """The code blocks of docs/how-to/testing.md in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TESTING, re.MULTILINE | re.DOTALL)


def environment(**more: str) -> dict[str, str]:
    """One where this environment's own commands come before others."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONWARNINGS": "error", **more}


def output(folder: Path, *command: str, **variables: str) -> str:
    """What a command prints that ends well."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    printed = ended.stdout + ended.stderr
    assert ended.returncode == 0, printed
    return printed


def test_the_tests_for_pytest(pytester: pytest.Pytester) -> None:
    """In the strict modes, as they stand."""
    pytest.importorskip("pytest_asyncio")
    tests = [block for block in blocks("py") if "unittest.main" not in block]
    tests += tests[-1:]  # one that imports an application, a second time
    pytester.makepyfile(shop_fastapi=files("how-to/click-to-call")["shop_fastapi.py"])
    pytester.makepyfile(**{f"test_{number}": test for number, test in enumerate(tests)})
    run(pytester, "", *ASYNCIO).assert_outcomes(passed=len(tests))


def test_those_for_unittest(tmp_path: Path) -> None:
    (block,) = (block for block in blocks("py") if "unittest.main" in block)
    (tmp_path / "test_it.py").write_text(block, encoding="utf-8")
    assert "Ran 2 tests" in output(tmp_path, sys.executable, "test_it.py")


@pytest.mark.parametrize("language", COMMANDS)
def test_those_of_other_languages(tmp_path: Path, language: str) -> None:
    name, *command = COMMANDS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (block,) = blocks(language)
    (tmp_path / name).write_text(block, encoding="utf-8")
    assert re.search(PASSED[language], output(tmp_path, *command))


PROGRAMS = {
    "get.py": """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1]).read().decode())
""",
    "get.mjs": """
console.log(await (await fetch(process.argv[2])).text());
""",
    "get.php": """<?php
echo file_get_contents($argv[1]);
if (function_exists('curl_init')) {
    $curl = curl_init($argv[1]);
    curl_exec($curl) or exit(curl_error($curl));
}
""",
    "Program.java": """
import java.net.URI;
import java.net.http.*;

class Program {
    public static void main(String[] arguments) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0])).build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(answer.body());
    }
}
""",
}


TRUST = {
    "--cacert ca.pem": ["curl", "-sS"],
    "CURL_CA_BUNDLE=ca.pem": ["curl", "-sS"],
    "--ca-certificate=ca.pem": ["wget", "-qO-"],
    "SSL_CERT_FILE=ca.pem": [sys.executable, "get.py"],
    "NODE_EXTRA_CA_CERTS=ca.pem": ["node", "get.mjs"],
    "php -d openssl.cafile=ca.pem -d curl.cainfo=ca.pem": ["get.php"],
}
"""What the page says, and what is run so: with such options, or in such an environment."""


def test_clients_trust_it_as_the_page_says(tmp_path: Path) -> None:
    """Those that are installed here."""
    for name, program in PROGRAMS.items():
        (tmp_path / name).write_text(program.lstrip(), encoding="utf-8")
    serve, java = (block.splitlines() for block in blocks("sh")[-2:])
    command = [*serve[-1].replace("8021", "0").split(), "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as emulator:
        assert emulator.stdout is not None
        try:
            url = json.loads(emulator.stdout.readline())["base_url"] + "/_emulator/statistics"
            for way, arguments in TRUST.items():
                assert f"`{way}`" in TESTING
                variables = dict([way.split("=")]) if way[0].isupper() else {}
                options = [] if variables else way.split()
                command = options + arguments if options[:1] == ["php"] else arguments + options
                if shutil.which(command[0]):
                    assert '"requests"' in output(tmp_path, *command, url, **variables)
            if shutil.which("keytool"):
                output(tmp_path, *java[0].split())
                assert '"requests"' in output(tmp_path, *java[1].split(), url)
        finally:
            emulator.terminate()


def test_its_links_lead_somewhere() -> None:
    headings = re.findall(r"^## (.*)$", TESTING, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", TESTING):
        if target.startswith("#"):
            assert target.removeprefix("#") in anchors
        else:
            assert (DOCS / target.partition("#")[0]).exists(), target
