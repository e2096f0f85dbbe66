"""What a traceback or a debugger shows of the commands: no numbers, and no passwords."""

from __future__ import annotations

import asyncio
from pathlib import Path

from attrs import evolve

from exotel_async.campaigns import CampaignAdmin, Ledger
from exotel_async.cli.campaign_ledger import OpenLedger
from exotel_async.cli.campaign_resolve import ResolveArguments
from exotel_async.cli.contact_files import open_contacts
from exotel_async.cli.contact_files.reading import Reading
from exotel_async.cli.dial_options import Target
from exotel_async.cli.dial_output import DialOutput
from exotel_async.cli.dial_plan import Plan
from exotel_async.cli.dial_report import OpenCall
from exotel_async.cli.dial_run import DialRun
from exotel_async.cli.service import Service
from tests.cli.dial_runs import dial_arguments

NUMBER = "9812300001"
AT_A_SERVER = "postgresql://asha:hush@localhost/campaigns"


def test_no_number_and_no_password_is_shown(tmp_path: Path) -> None:
    arguments = evolve(dial_arguments(tmp_path, [NUMBER]), ledger=AT_A_SERVER)
    campaign, contacts = arguments.options.campaign(), open_contacts(arguments.file, mapping={})
    run = DialRun(arguments, campaign, contacts, [NUMBER], DialOutput(arguments, "leads"))
    reading = Reading(contacts._layout, campaign)
    assert len(list(reading.results(contacts._table))) == 1
    ledger = Ledger(AT_A_SERVER)
    with asyncio.Runner() as runner:
        admin = CampaignAdmin(ledger)
        opened = OpenLedger(place=AT_A_SERVER, ledger=ledger, admin=admin, do=runner.run)
    service = Service()
    resolving = ResolveArguments(
        name="x",
        key=NUMBER,
        call=None,
        not_placed=True,
        whole=False,
        as_json=False,
        service=service,
    )
    plan = Plan(arguments, campaign, contacts, [NUMBER])
    calls = [OpenCall(number=NUMBER, key=NUMBER), Target(agent=NUMBER, stream_url="wss://a:hush@b")]
    for value in (arguments, run, plan, reading, opened, resolving, ledger, admin, *calls):
        assert NUMBER not in repr(value)
        assert "hush" not in repr(value)
