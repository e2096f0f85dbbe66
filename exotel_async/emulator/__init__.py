"""A local Exotel Voice v1: API, call lifecycle, recordings, callbacks, rate limit and faults.

It shares no code with the SDK on purpose: it is a second reading of the wire notes.
"""

from exotel_async.emulator.callbacks import SentCallback
from exotel_async.emulator.calls import Dial, EmulatedCall, Event
from exotel_async.emulator.emulator import Emulator, serve
from exotel_async.emulator.faults import CallbackFault, Ending, Fault, Garbage, ListingFault
from exotel_async.emulator.orders import Faults
from exotel_async.emulator.records import Download, ReceivedRequest, Statistics
from exotel_async.emulator.scenario import Behaviour, Outcome, Scenario
from exotel_async.emulator.settings import Settings
from exotel_async.emulator.windows import RateWindow

__all__ = [
    "Behaviour",
    "CallbackFault",
    "Dial",
    "Download",
    "EmulatedCall",
    "Emulator",
    "Ending",
    "Event",
    "Fault",
    "Faults",
    "Garbage",
    "ListingFault",
    "Outcome",
    "RateWindow",
    "ReceivedRequest",
    "Scenario",
    "SentCallback",
    "Settings",
    "Statistics",
    "serve",
]
