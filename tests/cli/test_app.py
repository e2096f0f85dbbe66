"""The command as a whole: help, wrong usage, and a missing extra."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from exotel_async import __version__
from exotel_async.cli import main
from tests.cli.support import environment, ran


@pytest.mark.slow
async def test_help_lists_the_commands() -> None:
    ended = await ran("--help")
    assert ended.code == 0
    for command in ("demo", "emulator", "call", "campaign", "get", "export", "number", "doctor"):
        assert f" {command} " in ended.out
    assert (await ran("--version")).out.strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "nonsense"),
        (["demo", "--seed", "many"], "--seed"),
        (["demo", "--wrong"], "--wrong"),
        (["call", "09812300001"], "--caller-id"),
        (["call", "09812300001", "--caller-id", "08030000000"], "TO"),
        (["call", "0981", "0982", "--flow", "1", "--caller-id", "0803"], "--flow"),
        (["call", "0981", "0982", "--stream-url", "ws://b", "--caller-id", "0803"], "--stream-url"),
        (
            ["call", "0981", "--flow", "1", "--stream-url", "ws://b", "--caller-id", "0803"],
            "--stream-url",
        ),
        (
            ["call", "0981", "--flow", "1", "--sample-rate", "8000", "--caller-id", "0803"],
            "--sample-rate",
        ),
        (
            ["call", "0981", "--stream-url=ws://b", "--ring-timeout=9", "--caller-id", "0803"],
            "--ring-timeout",
        ),
        (["emulator", "--window", "round"], "--window"),
        (["emulator", "--speed", "inf"], "--speed"),
        (["emulator", "--account", ""], "--account"),
        (["emulator", "--account", "a/b"], "--account"),
        (["emulator", "--key", "a:b"], "--key"),
        (["emulator", "--token", ""], "--token"),
        (["emulator", "--exophone", "none"], "--exophone"),
        (["emulator", "--host", ""], "--host"),
        (["number"], "NUMBER"),
        (["get"], "--file"),
        (["get", "sid", "--rate", "0"], "--rate"),
        (["number", "09812300001", "--rate", "0"], "--rate"),
        (["call", "0981", "0982", "--caller-id", "0803", "--rate", "0"], "--rate"),
        (["doctor", "--rate", "0"], "--rate"),
        (["export"], "--output"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""


async def test_what_campaigns_need_is_imported_for_them_alone() -> None:
    program = (
        "import sys\n"
        "from exotel_async.cli import main\n"
        "main(['call', '0981', '0982', '--caller-id', '0803'])\n"
        "main(['--help'])\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'sqlalchemy', 'xlsxwriter'}),"
        " [name for name in sys.modules if 'campaign' in name])"
    )
    ended = await ran(command=(sys.executable, "-c", program))
    assert ended.out.splitlines()[-1] == "[] []"


@pytest.mark.slow
async def test_completion_is_installed_for_a_shell(tmp_path: Path) -> None:
    home = environment(HOME=str(tmp_path))
    ended = await ran("--install-completion", "--shell", "bash", env=home)
    assert ended.code == 0, ended
    script = tmp_path / ".local/share/bash-completion/completions/exotel-async"
    ended = await ran("-c", f"bash -n {script} && grep -e --caller-id {script}", command=("bash",))
    assert ended.code == 0, ended


@pytest.mark.slow
@pytest.mark.parametrize("module", ["cyclopts", "uvicorn"])
async def test_without_the_extra_it_says_which_to_install(module: str) -> None:
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from exotel_async.cli import main\n"
        "sys.exit(main())"
    )
    ended = await ran("demo", command=(sys.executable, "-c", program))
    assert ended.code == 1
    assert ended.error_lines == [
        f"exotel-async needs {module}: pip install 'exotel-async[cli]'",
    ]
