"""The five pages of Voice v1, as functions from a read request to a document."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote

import attrs

from exotel_async.emulator import listing
from exotel_async.emulator.api_errors import Refusal, bad
from exotel_async.emulator.call_store import CallBook
from exotel_async.emulator.callbacks import Callbacks
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.dial_request import check_account, flow_of, read_dial
from exotel_async.emulator.documents import CallDocuments
from exotel_async.emulator.encoding import Pairs
from exotel_async.emulator.faults import Fault, ListingFault
from exotel_async.emulator.filters import possible_faults, read_validity, wants_details
from exotel_async.emulator.flow_engine.live_calls import Runs
from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.flows.flow import find_flow
from exotel_async.emulator.parameters import given, merged
from exotel_async.emulator.phones import is_indian, metadata, national
from exotel_async.emulator.rendering import Document
from exotel_async.emulator.settings import Settings

_CALL = re.compile(r"Calls/([^/]+)")
_NUMBER = re.compile(r"Numbers/([^/]+)")


@attrs.frozen(kw_only=True)
class Asked:
    """A request to the account, read so far as every page needs it."""

    method: str
    page: str
    """The path below the account, without `.json`; case counts."""
    json: bool
    query_pairs: Pairs
    form: Pairs | None
    """None: there was a body, and it was no form."""

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the query; of one that comes twice the last."""
        return dict(self.query_pairs)

    @property
    def is_listing(self) -> bool:
        """Whether it asks for a page of calls."""
        return (self.method, self.page) == ("GET", "Calls")


class Api:
    """Answers requests that came in with the right credentials and in the rate."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        book: CallBook,
        documents: CallDocuments,
        callbacks: Callbacks,
        runs: Runs,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._book = book
        self._documents = documents
        self._callbacks = callbacks
        self._runs = runs

    def possible_faults(self, asked: Asked) -> Collection[ListingFault]:
        """The faults of listings that the answer can meet."""
        return possible_faults(asked.query) if asked.is_listing else ()

    def answer(self, asked: Asked, fault: Fault | None) -> Document:
        """Do what is asked and say so; a fault of listings is in it already. Raises Refusal."""
        if asked.form is None:
            raise bad("The body is not a form")
        if asked.method == "POST":
            if asked.page == "Calls/connect":
                return self._connect(asked, asked.form)
        elif asked.method == "GET":
            if asked.is_listing:
                return self._list(asked, fault)
            if asked.page == "Balance":
                return self._balance()
            if (match := _CALL.fullmatch(asked.page)) is not None:
                return self._call(asked, unquote(match[1]))
            if (match := _NUMBER.fullmatch(asked.page)) is not None:
                return self._number(unquote(match[1]))
        raise Refusal(404, "The requested resource was not found")

    def _connect(self, asked: Asked, form: Pairs) -> Document:
        settings = self._settings
        dial = read_dial(merged(asked.query_pairs, form, settings), settings)
        check_account(dial, settings)
        if settings.channels is not None:
            taken = self._book.channels()
            if taken + (1 if dial.to is None else 2) > settings.channels:
                raise Refusal(settings.channels_status, "The limit of concurrent calls is reached")
        flow_id = None if dial.url is None else flow_of(dial.url)
        flow = None if flow_id is None else find_flow(settings.flows, flow_id)
        if flow is None:
            call = self._book.take(dial, settings.scenario, self._clock.elapsed())
            self._callbacks.schedule(call)
        else:
            caller = settings.callers.get(dial.from_, Caller())
            call = self._book.take(
                dial,
                settings.scenario,
                self._clock.elapsed(),
                in_flow=True,
                first_does=caller.behaviour,
            )
            self._runs.start(call, flow, caller)
        return self._documents.single(call, json=asked.json)

    def _call(self, asked: Asked, sid: str) -> Document:
        query = dict(given(asked.query_pairs, self._settings))
        validity = read_validity(query)
        call = self._book.by_sid.get(sid)
        if call is None:
            raise Refusal(404, "The call was not found")
        details = wants_details(query)
        return self._documents.single(call, json=asked.json, details=details, validity=validity)

    def _list(self, asked: Asked, fault: Fault | None) -> Document:
        settings = self._settings
        query = dict(given(asked.query_pairs, settings))
        validity = read_validity(query)
        repeat = 0 if fault is None else fault.rows
        page = listing.read_page(query, self._book, self._clock, settings, repeat=repeat)
        details = wants_details(query)
        match None if fault is None else fault.listing:
            case ListingFault.REPEATED_CURSOR:
                page = attrs.evolve(page, after=query["After"])
            case ListingFault.WITHOUT_DETAILS:
                details = False
        suffix = ".json" if asked.json and settings.next_uri_json else ""
        path = f"/v1/Accounts/{settings.account_sid}/Calls{suffix}"
        uris = listing.page_uris(page, query, path, settings.end_cursor)
        return {
            "Metadata": {"Total": page.total, "PageSize": page.size, **uris},
            "Calls": [
                self._documents.row(call, json=asked.json, details=details, validity=validity)
                for call in page.calls
            ],
        }

    def _number(self, number: str) -> Document:
        if not is_indian(number):
            raise Refusal(self._settings.foreign_number_status, "The number is not known")
        return {"Numbers": metadata(number, dnd=national(number) in self._settings.ndnc)}

    def _balance(self) -> Document:
        settings = self._settings
        return {
            "Account": {
                "AccountSid": settings.account_sid,
                "BalanceData": {
                    "Balance": str(settings.balance),
                    "Currency": "INR",
                    "PricingPlan": "Emulated",
                    "DateUpdated": self._clock.text(self._clock.elapsed()),
                },
            }
        }
