"""The five pages of Voice v1, as functions from a read request to a document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import attrs

from exotel_async.emulator import listing
from exotel_async.emulator.callbacks import Callbacks
from exotel_async.emulator.calls import CallBook, EmulatedCall
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.connect import check_account, read_dial
from exotel_async.emulator.documents import CallDocuments
from exotel_async.emulator.phones import is_indian, metadata, national
from exotel_async.emulator.refusals import Refusal
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
    query: Mapping[str, str]
    form: Sequence[tuple[str, str]]


class Api:
    """Answers requests that came in with the right credentials and in the rate."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        book: CallBook,
        documents: CallDocuments,
        callbacks: Callbacks,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._book = book
        self._documents = documents
        self._callbacks = callbacks

    def answer(self, asked: Asked) -> Document:
        """Do what is asked and say so. Raises Refusal."""
        if asked.method == "POST":
            if asked.page == "Calls/connect":
                return self._connect(asked)
        elif asked.method == "GET":
            if asked.page == "Calls":
                return self._list(asked)
            if asked.page == "Balance":
                return self._balance()
            if (match := _CALL.fullmatch(asked.page)) is not None:
                return self._call(asked, unquote(match[1]))
            if (match := _NUMBER.fullmatch(asked.page)) is not None:
                return self._number(unquote(match[1]))
        raise Refusal(404, "The requested resource was not found")

    def _connect(self, asked: Asked) -> Document:
        settings = self._settings
        dial = read_dial(asked.form, settings)
        check_account(dial, settings)
        if settings.channels is not None:
            taken = sum(call.channels for call in self._book.live())
            if taken + (1 if dial.to is None else 2) > settings.channels:
                raise Refusal(settings.channels_status, "The limit of concurrent calls is reached")
        call = self._book.take(dial, settings.scenario, self._clock.elapsed())
        self._callbacks.schedule(call)
        return self._documents.single(call, json=asked.json)

    def _call(self, asked: Asked, sid: str) -> Document:
        validity = listing.read_validity(asked.query)
        call: EmulatedCall | None = self._book.by_sid.get(sid)
        if call is None:
            raise Refusal(404, "The call was not found")
        details = listing.wants_details(asked.query)
        return self._documents.single(call, json=asked.json, details=details, validity=validity)

    def _list(self, asked: Asked) -> Document:
        settings, query = self._settings, asked.query
        validity = listing.read_validity(query)
        page = listing.read_page(
            query, self._book, self._clock, flow_to_exophone=settings.flow_to == "exophone"
        )
        suffix = ".json" if asked.json and settings.next_uri_json else ""
        path = f"/v1/Accounts/{settings.account_sid}/Calls{suffix}"
        uris = listing.page_uris(page, query, path, settings.end_cursor)
        details = listing.wants_details(query)
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
