"""Dials, as the caller passes them and gets them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypedDict

from attrs import field, frozen

from exotel_async.masking import masked
from exotel_async.models.value import Value
from exotel_async.models.words import (
    CallbackContentType,
    CallbackEvent,
    CallType,
    PlaybackTo,
    RecordingChannels,
    RecordingFormat,
    StreamBegin,
)


class StreamOptions(TypedDict, total=False):
    """Options of every dial, and the only ones of `connect_to_stream`. None: as if left out.

    Attributes:
        time_limit: the longest the whole call may last: a timedelta or seconds, at most 14400.
        record: whether to record the call.
        recording_channels: both parties in one channel or one each; only with `record=True`.
        custom_field: any text of up to 128 characters that is to come back with the call.
        status_callback: URL that gets a callback when the call has ended.
        status_callback_events: the events it reports, each in full; without them it gets four
            fields when the call is over. Not documented for calls to a flow; `ringing` comes in
            calls to a stream only.
        max_retries: how many more times Exotel itself dials `from_`, for this one dial, if it was
            not reached: 0 or more. One support article (48259) documents it, with 3 as the
            default. The SDK sends a dial once, and sends this only if it is given. It is then not
            known what `time_limit` counts from, so the call may be over later.
        extra: parameters this SDK does not know, sent last and unchanged.
    """

    time_limit: timedelta | float | None
    record: bool | None
    recording_channels: RecordingChannels | str | None
    custom_field: str | None
    status_callback: str | None
    status_callback_events: Iterable[CallbackEvent | str] | None
    max_retries: int | None
    extra: Mapping[str, str] | None


class DialOptions(StreamOptions, total=False):
    """Options of `connect` and `connect_to_flow`: these, and all of `StreamOptions`.

    None is the same as leaving it out. Exotel documents most of it at
    developer.exotel.com/api/make-a-call-api.

    Attributes:
        call_type: `trans`, the only type there is.
        ring_timeout: how long each party is rung: a timedelta or seconds. Exotel's limit is not
            certain; an old page says 60 seconds.
        recording_format: `mp3` or `mp3-hq`; only with `record=True`.
        status_callback_content_type: how status callbacks are encoded; multipart by default.
        stream_url: `wss` URL the audio of a call between two numbers is streamed to (AgentStream).
            A flow streams by an applet of its own, and `connect_to_stream` reaches a bot directly.
        stream_begin: from which moment; only with `stream_url`.
        stream_type: `bidirectional`; not documented, but it works. Only with `stream_url`.
    """

    call_type: CallType | str | None
    ring_timeout: timedelta | float | None
    recording_format: RecordingFormat | str | None
    status_callback_content_type: CallbackContentType | str | None
    stream_url: str | None
    stream_begin: StreamBegin | str | None
    stream_type: str | None


class TargetOptions(DialOptions, total=False):
    """Options of a dial of `connect_many`: `DialOptions`, and more for some kinds of call.

    With `to`, `stream_url` streams the call between two numbers; without `to` and `flow` it is the
    bot that is called, as by `connect_to_stream`, which takes no more than `StreamOptions`.

    Attributes:
        stream_name: a name for the stream of a bot, of at most 32 characters.
        sample_rate: samples per second of a bot's audio: 8000, 16000 or 24000.
        wait_url: a WAV file the first party hears while the second is rung; cached by its URL.
        start_playback_to: who hears `start_playback_url`.
        start_playback_url: audio played when the second party answers.
    """

    stream_name: str | None
    sample_rate: int | None
    wait_url: str | None
    start_playback_to: PlaybackTo | str | None
    start_playback_url: str | None


@frozen(kw_only=True)
class DialTarget(Value):
    """One dial: who is rung, and a tag by which the application recognises it.

    It is passed to `connect_many`, where the arguments for all dials apply to what is None here. It
    comes back as the `target` of the dial's call, and with an orphaned one: there it is what was
    passed to `connect_many`, or made of the arguments of a single dial, as they were written.

    Attributes:
        from_: the party rung first.
        to: the party rung second; or else
        flow: the flow the first party is connected to. Without both: `stream_url` in `options`.
        caller_id: the ExoPhone they see.
        options: further options, as `calls.connect` takes them. In `connect_many` they override
            those given for all. For a single dial they hold only the `custom_field`, and the
            `stream_url` passed to `connect_to_stream`.
        tag: anything of the application's own, to recognise a dial by. It is not sent.
    """

    from_: str = field(repr=masked)
    to: str | None = field(default=None, repr=masked)
    flow: int | str | None = None
    caller_id: str | None = None
    options: TargetOptions = field(factory=TargetOptions, repr=False, hash=False)
    tag: Any = field(default=None, repr=False, hash=False)
