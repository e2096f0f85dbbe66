"""The endpoints of calls and numbers, as functions from a parsed request to a document."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from exotel_async.emulator import listing
from exotel_async.emulator.api_errors import Refusal
from exotel_async.emulator.call_store import CallBook
from exotel_async.emulator.callbacks import Callbacks
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.dial_request import check_account, flow_of, read_dial
from exotel_async.emulator.documents import CallDocuments
from exotel_async.emulator.faults import ListingFault
from exotel_async.emulator.filters import read_validity, wants_details
from exotel_async.emulator.flow_engine.live_calls import FlowRuns
from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.flows.flow import find_flow
from exotel_async.emulator.manual_calls import ManualCalls
from exotel_async.emulator.numbers import is_indian, metadata, national
from exotel_async.emulator.pages import ApiRequest, Methods
from exotel_async.emulator.parameters import given, merged
from exotel_async.emulator.rendering import Document
from exotel_async.emulator.settings import Settings, is_manual
from exotel_async.emulator.whitelist import Whitelist


class Api:
    """Answers requests that have passed authentication and the rate limit."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        book: CallBook,
        documents: CallDocuments,
        callbacks: Callbacks,
        runs: FlowRuns,
        whitelist: Whitelist,
        manual_calls: ManualCalls,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._book = book
        self._documents = documents
        self._callbacks = callbacks
        self._runs = runs
        self._whitelist = whitelist
        self._manual_calls = manual_calls

    def endpoints(self) -> Mapping[str, Methods]:
        """Return the endpoints of calls and numbers, by path."""
        return {
            "Calls": {"GET": self._list},
            "Calls/connect": {"POST": self._connect},
            "Calls/*": {"GET": self._call},
            "Numbers/*": {"GET": self._number},
        }

    def _connect(self, request: ApiRequest) -> Document:
        settings = self._settings
        dial = read_dial(merged(request.query_pairs, request.fields, settings), settings)
        check_account(dial, settings, self._whitelist)
        if settings.channels is not None:
            taken = self._book.channels()
            if taken + (1 if dial.to is None else 2) > settings.channels:
                raise Refusal(settings.channels_status, "The limit of concurrent calls is reached")
        flow_id = None if dial.url is None else flow_of(dial.url)
        flow = None if flow_id is None else find_flow(settings.flows, flow_id)
        manual = is_manual(settings, dial.from_)
        if flow is None:
            manual = manual or (dial.to is not None and is_manual(settings, dial.to))
            call = self._book.take(
                dial,
                settings.scenario,
                self._clock.elapsed(),
                second_decides=settings.unreached_second == "second-leg",
                manual=manual,
            )
            if manual:
                self._manual_calls.start(call)
            else:
                self._callbacks.schedule(call)
        else:
            caller = settings.callers.get(dial.from_, Caller())
            manual = manual or caller.manual
            call = self._book.take(
                dial,
                settings.scenario,
                self._clock.elapsed(),
                in_flow=True,
                first_behaviour=caller.behaviour,
                manual=manual,
            )
            if manual:
                self._manual_calls.start_flow(call, flow, caller)
            else:
                self._runs.start(call, flow, caller)
        return self._documents.single(call, json=request.json)

    def _call(self, request: ApiRequest, sid: str) -> Document:
        query = dict(given(request.query_pairs, self._settings))
        validity = read_validity(query)
        call = self._book.by_sid.get(sid)
        if call is None:
            raise Refusal(404, "The call was not found")
        details = wants_details(query)
        return self._documents.single(call, json=request.json, details=details, validity=validity)

    def _list(self, request: ApiRequest) -> Document:
        settings, fault = self._settings, request.fault
        query = dict(given(request.query_pairs, settings))
        validity = read_validity(query)
        repeat = 0 if fault is None else fault.rows
        page = listing.read_page(query, self._book, self._clock, settings, repeat=repeat)
        details = wants_details(query)
        match None if fault is None else fault.listing:
            case ListingFault.REPEATED_CURSOR:
                page = attrs.evolve(page, after=query["After"])
            case ListingFault.WITHOUT_DETAILS:
                details = False
        suffix = ".json" if request.json and settings.next_uri_json else ""
        path = f"/v1/Accounts/{settings.account_sid}/Calls{suffix}"
        uris = listing.page_uris(page, query, path, settings.end_cursor)
        return {
            "Metadata": {"Total": page.total, "PageSize": page.size, **uris},
            "Calls": [
                self._documents.row(call, json=request.json, details=details, validity=validity)
                for call in page.calls
            ],
        }

    def _number(self, _: ApiRequest, number: str) -> Document:
        if not is_indian(number):
            raise Refusal(self._settings.foreign_number_status, "The number is not known")
        return {"Numbers": metadata(number, dnd=national(number) in self._settings.ndnc)}
