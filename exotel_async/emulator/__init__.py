"""A local Exotel Voice v1: API, call lifecycle, flows, recordings, callbacks, rate limit, faults.

On purpose it shares no code with the SDK: it is an independent reading of what is known of Exotel.
"""

from exotel_async.emulator.callbacks import SentCallback
from exotel_async.emulator.calls import Dial, EmulatedCall, Event, Recording
from exotel_async.emulator.emulator import Emulator, serve
from exotel_async.emulator.faults import (
    CallbackFault,
    Ending,
    Fault,
    Faults,
    Garbage,
    ListingFault,
    OrderedFault,
)
from exotel_async.emulator.flows.applets import (
    Applet,
    Connect,
    Email,
    Gather,
    Greeting,
    Hangup,
    Menu,
    Passthru,
    Sms,
    SwitchCase,
    Transfer,
    Voicebot,
    Voicemail,
)
from exotel_async.emulator.flows.caller import Caller
from exotel_async.emulator.flows.flow import Flow
from exotel_async.emulator.flows.outbox import SentEmail, SentSms
from exotel_async.emulator.flows.settings import FlowSettings
from exotel_async.emulator.flows.transcript import Exchange, Note, Step, Transcript
from exotel_async.emulator.latency import UniformLatency
from exotel_async.emulator.phones import Phone
from exotel_async.emulator.rate_limit import RateWindow
from exotel_async.emulator.request_log import Download, ReceivedRequest, Statistics
from exotel_async.emulator.scenario import Behaviour, Outcome, Scenario
from exotel_async.emulator.settings import Settings

__all__ = [
    "Applet",
    "Behaviour",
    "CallbackFault",
    "Caller",
    "Connect",
    "Dial",
    "Download",
    "Email",
    "EmulatedCall",
    "Emulator",
    "Ending",
    "Event",
    "Exchange",
    "Fault",
    "Faults",
    "Flow",
    "FlowSettings",
    "Garbage",
    "Gather",
    "Greeting",
    "Hangup",
    "ListingFault",
    "Menu",
    "Note",
    "OrderedFault",
    "Outcome",
    "Passthru",
    "Phone",
    "RateWindow",
    "ReceivedRequest",
    "Recording",
    "Scenario",
    "SentCallback",
    "SentEmail",
    "SentSms",
    "Settings",
    "Sms",
    "Statistics",
    "Step",
    "SwitchCase",
    "Transcript",
    "Transfer",
    "UniformLatency",
    "Voicebot",
    "Voicemail",
    "serve",
]
