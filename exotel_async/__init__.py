"""Asyncio SDK for the Exotel Voice v1 API, with the account's rate limit built in."""

# Names are imported on first use (PEP 562) from the modules in `_NAMES`. Type checkers read the
# imports instead; a test compares the two. Importing `typing` would take a quarter of the time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    # isort: off
    from exotel_async.calls.as_completed import EndedCalls as EndedCalls
    from exotel_async.calls.changes import CallChanges as CallChanges
    from exotel_async.calls.connect_many import (
        DialOutcome as DialOutcome,
        Dials as Dials,
        DialStatistics as DialStatistics,
    )
    from exotel_async.calls.get_many import (
        CallResult as CallResult,
        CallResults as CallResults,
        FetchStatistics as FetchStatistics,
    )
    from exotel_async.calls.list import CallRecords as CallRecords
    from exotel_async.calls.open_recording import Recording as Recording
    from exotel_async.calls.reconcile import (
        CallAmbiguous as CallAmbiguous,
        CallFound as CallFound,
        CallNotFound as CallNotFound,
        Reconciliation as Reconciliation,
    )
    from exotel_async.client import AsyncExotel as AsyncExotel
    from exotel_async.config import (
        IST as IST,
        Priority as Priority,
        RateLimit as RateLimit,
        Region as Region,
        RequestOptions as RequestOptions,
        RetryPolicy as RetryPolicy,
        Timeouts as Timeouts,
    )
    from exotel_async.errors import (
        APIError as APIError,
        AuthenticationError as AuthenticationError,
        BadRequest as BadRequest,
        CallOutcomeUnknown as CallOutcomeUnknown,
        ClaimsUnavailable as ClaimsUnavailable,
        ConfigurationError as ConfigurationError,
        Conflict as Conflict,
        ConnectionFailed as ConnectionFailed,
        DecodeError as DecodeError,
        ExotelError as ExotelError,
        InvalidRequest as InvalidRequest,
        InvalidWebhook as InvalidWebhook,
        LimiterUnavailable as LimiterUnavailable,
        NoRecording as NoRecording,
        NotDialled as NotDialled,
        NotFound as NotFound,
        PaymentRequired as PaymentRequired,
        PermissionDenied as PermissionDenied,
        RateLimited as RateLimited,
        RateLimitTimeout as RateLimitTimeout,
        RecordingNotReady as RecordingNotReady,
        RecordingUnavailable as RecordingUnavailable,
        RequestOutcomeUnknown as RequestOutcomeUnknown,
        RequestTimeout as RequestTimeout,
        ServerError as ServerError,
    )
    from exotel_async.limiter.protocol import (
        LimiterStatistics as LimiterStatistics,
        Permit as Permit,
        RateLimiter as RateLimiter,
        RequestOutcome as RequestOutcome,
    )
    from exotel_async.limiter.token_bucket import TokenBucket as TokenBucket
    from exotel_async.models import (
        AnsweredBy as AnsweredBy,
        Balance as Balance,
        Call as Call,
        CallbackContentType as CallbackContentType,
        CallbackEvent as CallbackEvent,
        CallDetails as CallDetails,
        CallPage as CallPage,
        CallRow as CallRow,
        CallStatus as CallStatus,
        CallType as CallType,
        DialOptions as DialOptions,
        DialTarget as DialTarget,
        Direction as Direction,
        Dnd as Dnd,
        ExoPhone as ExoPhone,
        ExoPhonePage as ExoPhonePage,
        Leg as Leg,
        NumberMetadata as NumberMetadata,
        NumberType as NumberType,
        OpenEnum as OpenEnum,
        PlaybackTo as PlaybackTo,
        RawResponse as RawResponse,
        RecordingChannels as RecordingChannels,
        RecordingFormat as RecordingFormat,
        StreamBegin as StreamBegin,
        StreamOptions as StreamOptions,
        TargetOptions as TargetOptions,
        WhitelistEntry as WhitelistEntry,
        WhitelistStatus as WhitelistStatus,
        WhitelistType as WhitelistType,
    )
    from exotel_async.phone import (
        normalize_number as normalize_number,
        same_number as same_number,
    )
    from exotel_async.resources.exophones import ExoPhoneList as ExoPhoneList
    from exotel_async.version import __version__ as __version__
    from exotel_async.wire.call_query import (
        Between as Between,
        CallFilters as CallFilters,
        RecordFilters as RecordFilters,
    )
else:
    del TYPE_CHECKING
    _NAMES = {
        "exotel_async.calls.as_completed": ("EndedCalls",),
        "exotel_async.calls.changes": ("CallChanges",),
        "exotel_async.calls.connect_many": ("DialOutcome", "Dials", "DialStatistics"),
        "exotel_async.calls.get_many": ("CallResult", "CallResults", "FetchStatistics"),
        "exotel_async.calls.list": ("CallRecords",),
        "exotel_async.calls.open_recording": ("Recording",),
        "exotel_async.calls.reconcile": (
            "CallAmbiguous",
            "CallFound",
            "CallNotFound",
            "Reconciliation",
        ),
        "exotel_async.client": ("AsyncExotel",),
        "exotel_async.config": (
            "IST",
            "Priority",
            "RateLimit",
            "Region",
            "RequestOptions",
            "RetryPolicy",
            "Timeouts",
        ),
        "exotel_async.errors": (
            "APIError",
            "AuthenticationError",
            "BadRequest",
            "CallOutcomeUnknown",
            "ClaimsUnavailable",
            "ConfigurationError",
            "Conflict",
            "ConnectionFailed",
            "DecodeError",
            "ExotelError",
            "InvalidRequest",
            "InvalidWebhook",
            "LimiterUnavailable",
            "NoRecording",
            "NotDialled",
            "NotFound",
            "PaymentRequired",
            "PermissionDenied",
            "RateLimited",
            "RateLimitTimeout",
            "RecordingNotReady",
            "RecordingUnavailable",
            "RequestOutcomeUnknown",
            "RequestTimeout",
            "ServerError",
        ),
        "exotel_async.limiter.protocol": (
            "LimiterStatistics",
            "Permit",
            "RateLimiter",
            "RequestOutcome",
        ),
        "exotel_async.limiter.token_bucket": ("TokenBucket",),
        "exotel_async.models": (
            "AnsweredBy",
            "Balance",
            "Call",
            "CallbackContentType",
            "CallbackEvent",
            "CallDetails",
            "CallPage",
            "CallRow",
            "CallStatus",
            "CallType",
            "DialOptions",
            "DialTarget",
            "Direction",
            "Dnd",
            "ExoPhone",
            "ExoPhonePage",
            "Leg",
            "NumberMetadata",
            "NumberType",
            "OpenEnum",
            "PlaybackTo",
            "RawResponse",
            "RecordingChannels",
            "RecordingFormat",
            "StreamBegin",
            "StreamOptions",
            "TargetOptions",
            "WhitelistEntry",
            "WhitelistStatus",
            "WhitelistType",
        ),
        "exotel_async.phone": ("normalize_number", "same_number"),
        "exotel_async.resources.exophones": ("ExoPhoneList",),
        "exotel_async.version": ("__version__",),
        "exotel_async.wire.call_query": ("Between", "CallFilters", "RecordFilters"),
    }
    _MODULES = {name: module for module, names in _NAMES.items() for name in names}
    __all__ = list(_MODULES)

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
