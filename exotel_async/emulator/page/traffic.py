"""What went over the wire, as the page shows it: requests, status callbacks, messages, faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import attrs

from exotel_async.emulator.callbacks import SentCallback
from exotel_async.emulator.faults import Ending, Fault, OrderedFault
from exotel_async.emulator.operations import Operations
from exotel_async.emulator.request_log import ReceivedRequest

SHOWN = 100
"""Rows of a table at most, the newest ones."""


@attrs.frozen(kw_only=True)
class RequestView:
    """One request, and how it was answered."""

    arrived: str
    """The date and time by the emulator's clock, in IST."""
    method: str
    path: str
    parameters: Sequence[tuple[str, str]]
    """Of the query, then of the form."""
    verdict: str
    good: bool


def requests(emulator: Operations) -> Sequence[RequestView]:
    """Return the newest requests, newest first."""
    return [
        RequestView(
            arrived=emulator.clock.text(request.arrived),
            method=request.method,
            path=request.path,
            parameters=[*request.query.items(), *request.form.items()],
            verdict=_verdict(request),
            good=request.status is not None and request.status < 400 and request.fault is None,
        )
        for request in list(emulator.requests)[: -SHOWN - 1 : -1]
    ]


def _verdict(request: ReceivedRequest) -> str:
    parts = [] if request.status is None else [str(request.status)]
    if request.refused:
        parts.append("refused by the rate window")
    elif request.reason is not None:
        parts.append(request.reason)
    if request.fault is not None:
        parts.append(f"fault: {fault_text(request.fault)}")
    return ", ".join(parts) or "not answered"


@attrs.frozen(kw_only=True)
class CallbackView:
    """One attempt at a status callback, and its answer."""

    number: int
    """Among all of them, from 1."""
    sid: str
    sent: str
    """The date and time by the emulator's clock, in IST."""
    url: str
    event: str
    status: str
    """The call's, as it was sent."""
    attempt: int
    answer: str
    """The status, or what went wrong."""
    good: bool
    milliseconds: int
    """Real milliseconds until the answer."""
    body: str
    """The beginning of the answer."""
    document: str
    """What was sent, as JSON."""


def callbacks(emulator: Operations, sid: str | None = None) -> Sequence[CallbackView]:
    """Return the newest callbacks of a call, or of all, newest first."""
    every = enumerate(emulator.callbacks, start=1)
    sent = [(number, one) for number, one in every if sid in {None, one.sid}]
    return [_callback(emulator, number, one) for number, one in sent[: -SHOWN - 1 : -1]]


def _callback(emulator: Operations, number: int, sent: SentCallback) -> CallbackView:
    return CallbackView(
        number=number,
        sid=sent.sid,
        sent=emulator.clock.text(sent.sent),
        url=sent.url,
        event=sent.event.value,
        status=str(sent.document["Status"]),
        attempt=sent.attempt,
        answer=str(sent.status) if sent.status is not None else sent.error or "no answer",
        good=sent.status is not None and 200 <= sent.status < 300,
        milliseconds=round(1000 * sent.took),
        body=sent.answer,
        document=json.dumps(sent.document, indent=2, ensure_ascii=False),
    )


@attrs.frozen(kw_only=True)
class Message:
    """An SMS or an e-mail that a flow has sent."""

    sid: str
    kind: str
    sent: str
    """The date and time by the emulator's clock, in IST."""
    to: str
    subject: str
    text: str


def messages(emulator: Operations, sid: str | None = None) -> Sequence[Message]:
    """Return the newest messages of a call, or of all, newest first."""
    found: list[tuple[float, Message]] = []
    for sms in emulator.sms:
        if sid in {None, sms.sid}:
            shown = emulator.clock.text(sms.sent)
            made = Message(
                sid=sms.sid, kind="SMS", sent=shown, to=sms.to, subject="", text=sms.text
            )
            found.append((sms.sent, made))
    for email in emulator.emails:
        if sid in {None, email.sid}:
            made = Message(
                sid=email.sid,
                kind="E-mail",
                sent=emulator.clock.text(email.sent),
                to=", ".join(email.to),
                subject=email.subject,
                text=email.text,
            )
            found.append((email.sent, made))
    found.sort(key=lambda one: one[0], reverse=True)
    return [message for _, message in found[:SHOWN]]


@attrs.frozen(kw_only=True)
class FaultView:
    """A pending fault."""

    id: int
    text: str
    waits_for: str
    """How often it is to be met, and by which requests."""


def faults(emulator: Operations) -> Sequence[FaultView]:
    """Return the pending faults, oldest first."""
    return [
        FaultView(id=order.id, text=fault_text(order.fault), waits_for=_waits_for(order))
        for order in emulator.faults.orders
    ]


def _waits_for(order: OrderedFault) -> str:
    often = {None: "always", 1: "once"}.get(order.times, f"{order.times} times")
    parts = [
        often,
        f"after {order.after} that pass" if order.after else "",
        f"for {order.method}" if order.method is not None else "",
        f"where the path has {order.path}" if order.path is not None else "for any path",
    ]
    return ", ".join(filter(None, parts))


@attrs.frozen
class CommonFault:
    """A fault that can be added by its name."""

    text: str
    make: Callable[[], Fault]


COMMON: Mapping[str, CommonFault] = MappingProxyType(
    {
        "act-then-drop": CommonFault("Do it, then close without an answer", Fault.act_then_drop),
        "drop-before": CommonFault("Close the connection, nothing is done", Fault.drop_before),
        "act-then-500": CommonFault("Do it, then answer 500", lambda: Fault.act_then_status(500)),
        "answer-503": CommonFault("Answer 503, nothing is done", lambda: Fault.answer(503)),
        "answer-429": CommonFault("Answer 429, nothing is done", Fault.too_many_requests),
        "never-answer": CommonFault("Do it, then never answer", Fault.act_then_stall),
        "five-seconds": CommonFault("Do it five seconds later", lambda: Fault.delay_before(5)),
        "cut-body": CommonFault("Do it, then answer half a body", Fault.act_then_garbage),
        "callback-lost": CommonFault("Lose a status callback", Fault.callback_lost),
        "callback-twice": CommonFault("Send a status callback twice", Fault.callback_duplicated),
        "callback-late": CommonFault(
            "Send a status callback ten seconds late", lambda: Fault.callback_late(10)
        ),
        "callback-reordered": CommonFault(
            "Send a status callback after the next one", Fault.callback_reordered
        ),
    }
)
"""The faults added most often, by their names in the form."""

_ENDINGS = {
    Ending.SENT: "",
    Ending.DROPPED: "closes without an answer",
    Ending.CUT: "cuts the answer's body",
    Ending.STALLED: "lets the answer wait",
    Ending.DRIPPED: "sends the body a byte at a time",
}


def fault_text(fault: Fault) -> str:
    """Return what a fault does, in words."""
    if fault.callback is not None:
        late = f", {fault.seconds:g} s" if fault.seconds is not None else ""
        return f"status callback {fault.callback.value}{late}"
    parts = [
        "" if fault.acts else "nothing is done",
        f"{fault.delay:g} s later" if fault.delay else "",
        f"answers {fault.status}" if fault.status is not None else "",
        f"the body is {fault.garbage.value}" if fault.garbage is not None else "",
        "the body is another" if fault.body is not None else "",
        f"the page has {fault.listing.value}" if fault.listing is not None else "",
        _ENDINGS[fault.ending],
        "resets the connection" if fault.reset else "",
    ]
    return ", ".join(filter(None, parts))
