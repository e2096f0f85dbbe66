"""A web application as those who use Exotel write it, from what Exotel is known to send them.

It reads single form fields by name, trusts the words it knows, and fails at any other: an emulator
that sends something else breaks it. It knows nothing of the SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.error import HTTPError
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    ProxyHandler,
    build_opener,
)

import attrs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from exotel_async.emulator.server import Listener, bind

Form = Mapping[str, str]


class Unexpected(Exception):
    """Something that it has no case for."""


@attrs.define
class CallScreen:
    """What an agent sees of a call: a state machine by `Status` and `Legs[i][Status]`."""

    seen: list[str] = attrs.field(factory=lambda: ["ringing"])
    """Its states so far."""

    def take(self, form: Form) -> None:
        """One status callback, in any form but JSON. Raises Unexpected."""
        state = self.next(form)
        if self.seen[-1].startswith("ended"):
            raise Unexpected(f"{state} after {self.seen[-1]}")
        self.seen.append(state)

    def next(self, form: Form) -> str:
        """The state that a callback leads to. Raises Unexpected."""
        agent, customer = form["Legs[0][Status]"], form["Legs[1][Status]"]
        match form["EventType"], form["Status"], agent, customer:
            case "answered", "in-progress", "in-progress", "":
                return "agent answered"
            case "answered", "in-progress", "in-progress", "in-progress":
                return "bridged"
            case "terminal", "completed", "completed", "completed":
                return "ended: talked"
            case "terminal", "no-answer" | "busy" | "failed" as status, same, "" if same == status:
                return f"ended: agent {agent}"
            # Of the status of these there are two opinions, of their legs there is one.
            case "terminal", "failed" | "completed", "completed", "canceled":
                return "ended: agent hung up"
            case "terminal", status, "completed", "no-answer" | "busy" | "failed":
                if status in {customer, "completed"}:
                    return f"ended: customer {customer}"
        raise Unexpected(dict(form))


@attrs.define
class LogEntry:
    """One call in a CRM, as far as is known."""

    customer: str
    exophone: str
    direction: str
    agent: str = ""
    status: str = "Ringing"
    order: str | None = None
    duration: int = 0
    recording: str | None = None
    steps: list[tuple[str, str]] = attrs.field(factory=list)
    """Dial events: whose phone, and what it did."""


_ENDS = {
    ("completed", "completed"): "Completed",
    ("client-hangup", "canceled"): "Canceled",
    ("incomplete", "no-answer"): "No Answer",
    ("incomplete", "busy"): "Busy",
    ("incomplete", "failed"): "Failed",
}
"""What `CallType` and `DialCallStatus` of a Passthru come to in it."""
_DIRECTIONS = {"incoming": "Incoming", "outbound-dial": "Outgoing", "outbound-api": "Outgoing"}
_STATUSES = {"completed": "Completed", "failed": "Failed", "busy": "Busy", "no-answer": "No Answer"}


@attrs.define
class Crm:
    """The log of all calls by CallSid: dial events, Passthrus and status callbacks write to it."""

    log: dict[str, LogEntry] = attrs.field(factory=dict)
    screens: dict[str, CallScreen] = attrs.field(factory=dict)
    short: dict[str, str] = attrs.field(factory=dict)
    """The status in each short callback, by CallSid."""
    agents: dict[str, str] = attrs.field(factory=dict)
    """Who is to be rung for a caller."""
    errors: list[Exception] = attrs.field(factory=list)
    url: str = ""

    def entry(self, query: Form) -> LogEntry:
        """The entry of a request's call; a new one for a new call."""
        return self.log.setdefault(
            query["CallSid"],
            LogEntry(
                customer=query["CallFrom"],
                exophone=query["To"],
                direction=_DIRECTIONS[query["Direction"]],
            ),
        )

    def whom(self, query: Form) -> Response:
        """Connect asks whom to dial."""
        self.entry(query)
        return PlainTextResponse(self.agents[query["CallFrom"]])

    def event(self, query: Form) -> Response:
        """A dial event: an agent's phone rings, is answered, is free again."""
        entry = self.entry(query)
        state = {"Dial": "busy", "Answered": "busy", "Terminal": "free"}[query["EventType"]]
        if query["Status"] != state:
            raise Unexpected(query["Status"])
        entry.steps.append((query["DialWhomNumber"], query["EventType"]))
        if query["EventType"] == "Answered":
            entry.agent, entry.status = query["DialWhomNumber"], "In Progress"
        return Response()

    def passthru(self, query: Form) -> Response:
        """Passthru after Connect."""
        entry = self.entry(query)
        entry.status = _ENDS[query["CallType"], query["DialCallStatus"]]
        entry.agent = query["DialWhomNumber"]
        entry.duration = int(query["DialCallDuration"])
        entry.recording = query.get("RecordingUrl")
        if entry.direction == "Outgoing":
            entry.order = query["CustomField"]
        return Response()

    def status(self, form: Form) -> Response:
        """A status callback: the long one of a call between two, or the short one of a flow's."""
        sid = form["CallSid"]
        if "EventType" in form:
            self.screens.setdefault(sid, CallScreen()).take(form)
            entry = self.log.setdefault(
                sid,
                LogEntry(
                    customer="0" + form["To"].removeprefix("+91"),
                    exophone=form["PhoneNumberSid"],
                    direction=_DIRECTIONS[form["Direction"]],
                    agent="0" + form["From"].removeprefix("+91"),
                ),
            )
            if form["EventType"] != "terminal":
                return Response()
            entry.status = _STATUSES[form["Status"]]
            entry.duration = int(form["ConversationDuration"])
            entry.order = form["CustomField"]
        else:
            self.short[sid] = form["Status"]
        if sid in self.log:
            self.log[sid].recording = form["RecordingUrl"] or None
        return Response()

    async def serve(self, request: Request) -> Response:
        """One request; 500 for what it has no case for, as such handlers do."""
        handler = getattr(self, request.path_params["what"])
        source = request.query_params if request.method == "GET" else await request.form()
        try:
            answer: Response = handler({name: str(value) for name, value in source.items()})
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
            self.errors.append(error)
            return JSONResponse({"error": repr(error)}, 500)
        return answer


def credentials_problem(host: str, account_sid: str, api_key: str, api_token: str) -> str | None:
    """What is wrong with credentials, tried when settings are saved; only the status is read."""
    manager = HTTPPasswordMgrWithDefaultRealm()
    url = f"{host}/v1/Accounts/{account_sid}"
    manager.add_password(None, url, api_key, api_token)
    # It sends them once it is asked to.
    opener = build_opener(ProxyHandler({}), HTTPBasicAuthHandler(manager))
    try:
        with opener.open(url) as answer:
            return None if answer.status == 200 else "unexpected status"
    except HTTPError as error:
        error.close()
        return {401: "wrong key or token", 404: "no such account"}[error.code]


@asynccontextmanager
async def running() -> AsyncIterator[Crm]:
    """One on a real socket."""
    crm = Crm()
    app = Starlette(routes=[Route("/exotel/{what}", crm.serve, methods=["GET", "POST"])])
    bound = bind("127.0.0.1", 0)
    crm.url = f"http://127.0.0.1:{bound.getsockname()[1]}/exotel"
    listener = Listener(app, bound)
    await listener.open()
    yield crm
    await listener.close()
