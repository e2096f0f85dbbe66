"""Each applet but Connect, in a flow: its good answer, its bad ones, and the exit taken."""

from __future__ import annotations

import httpx
import pytest

from exotel_async.emulator import (
    Applet,
    Caller,
    Email,
    EmulatedCall,
    Emulator,
    Flow,
    FlowSettings,
    Gather,
    Greeting,
    Hangup,
    Menu,
    Passthru,
    SentEmail,
    SentSms,
    Sms,
    SwitchCase,
    Transfer,
    Voicebot,
    Voicemail,
)
from tests.conftest import SOON
from tests.emulator.application import Application, Reply, json, text
from tests.emulator.support import CUSTOMER, EXOPHONE, branch, call_in

NOBODY = "http://127.0.0.1:9/"
"""Where nobody listens."""
SLOW = Reply(200, "late", "text/plain", delay=5.0)
PATIENCE = 0.5
"""Real seconds a flow waits here for an answer."""
BAD_STATUSES = [201, 302, 404, 500]


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """One that does not wait long for answers."""
    emulator.flow_settings.timeout = PATIENCE
    return emulator


def said(call: EmulatedCall, applet: str) -> list[str]:
    """What a call heard or did at an applet, without what was of no use and why."""
    return [note for note in call.transcript.step(applet).notes if not note.startswith("of no use")]


async def test_a_greeting_says_and_plays(emulator: Emulator) -> None:
    start = Greeting(
        text="Hello, and welcome to us all",
        then=Greeting(name="more", audio=["http://x/1.wav", "http://x/2.wav"]),
    )
    call = await call_in(emulator, start)
    assert said(call, "Greeting") == ["says 'Hello, and welcome to us all'"]
    assert said(call, "more") == ["plays http://x/1.wav", "plays http://x/2.wav"]
    assert call.timeline.ended == 2 + 5 + 5
    assert branch(call, "Greeting") == branch(call, "more") == "then"


async def test_a_greeting_asks_for_its_text(emulator: Emulator, application: Application) -> None:
    """HEAD first, and then GET."""
    url = application("/greeting?who=me", text("\n Namaste \n"))
    application.replies["/greeting"] = text("\n Namaste \n")
    call = await call_in(emulator, Greeting(url=url, then=Hangup()))
    assert [asked.method for asked in application.at("/greeting")] == ["HEAD", "GET"]
    head, get = application.at("/greeting")
    assert head.query == get.query
    assert get.query["who"] == "me"
    assert said(call, "Greeting") == ["says 'Namaste'"]
    assert branch(call, "Greeting") == "then"


async def test_a_greeting_gets_audio(emulator: Emulator, application: Application) -> None:
    url = application("/greeting", text("http://x/1.wav\nhttps://x/2.wav\n"))
    call = await call_in(emulator, Greeting(url=url))
    assert said(call, "Greeting") == ["plays http://x/1.wav", "plays https://x/2.wav"]


BAD_TEXTS = {
    **{f"status {status}": Reply(status, "text", "text/plain") for status in BAD_STATUSES},
    "html": text("<p>text", "text/html"),
    "no type": text("text", None),
    "json": text("{}", "application/json"),
    "empty": text(" \n"),
    "late": SLOW,
}


@pytest.mark.slow(2)
@pytest.mark.parametrize("why", [*BAD_TEXTS, "unreachable", "no url", "HEAD alone", "differ"])
@pytest.mark.parametrize("kind", ["Greeting", "Menu", "Sms"])
async def test_a_bad_answer_to_a_prompt(
    emulator: Emulator, application: Application, why: str, kind: str
) -> None:
    """Nothing is said, or sent, and the flow goes on."""
    emulator.flow_settings.timeout = PATIENCE if why == "late" else SOON
    url = application("/prompt", BAD_TEXTS.get(why, text("good")))
    if why == "HEAD alone":
        application.heads["/prompt"] = Reply(405, "", "text/plain")
    elif why == "differ":
        application.heads["/prompt"] = text("", "text/plain; a=b")
        emulator.flow_settings.plain_charset = True
    elif why == "unreachable":
        url = NOBODY
    elif why == "no url":
        url = "http://[::"
    applets: dict[str, Applet] = {
        "Greeting": Greeting(url=url, then=Hangup()),
        "Menu": Menu(url=url, keys={"1": None}, otherwise=Hangup()),
        "Sms": Sms(url=url, then=Hangup()),
    }
    call = await call_in(emulator, applets[kind])
    assert said(call, kind) == []
    assert branch(call, kind) == ("otherwise" if kind == "Menu" else "then")
    assert call.transcript.path[-1] == ("Hangup", None)
    assert emulator.sms == []
    waited = {"late": PATIENCE}.get(why, 0) + (5 if kind == "Menu" else 0)
    assert call.timeline.ended == pytest.approx(waited)

    emulator.flow_settings.bad_prompt = "hang-up"
    call = await call_in(emulator, applets[kind])
    assert branch(call, kind) is None
    assert "bad answer" in str(call.transcript)


@pytest.mark.parametrize("kind", ["Greeting", "Menu"])
async def test_a_charset_spoils_a_prompt(
    emulator: Emulator, application: Application, kind: str
) -> None:
    url = application("/prompt", text("Hello", "text/plain; charset=utf-8"))
    start = Greeting(url=url) if kind == "Greeting" else Menu(url=url, keys={})
    assert said(await call_in(emulator, start), kind) == []
    emulator.flow_settings.plain_charset = True
    assert said(await call_in(emulator, start), kind) == ["says 'Hello'"]


async def test_a_passthru_with_200(emulator: Emulator, application: Application) -> None:
    url = application("/crm", Reply(200, b"\xff whatever"))
    call = await call_in(emulator, Passthru(url=url, ok=Hangup()))
    assert branch(call, "Passthru") == "ok"
    asked = application.only("/crm")
    assert "exotel-version" not in asked.headers
    assert "authorization" not in asked.headers


@pytest.mark.parametrize("bad", [*map(str, BAD_STATUSES), "late", "unreachable", "no url"])
async def test_a_passthru_with_anything_else(
    emulator: Emulator, application: Application, bad: str
) -> None:
    emulator.flow_settings.timeout = PATIENCE if bad == "late" else SOON
    if bad.isdecimal():
        reply = Reply(int(bad), headers={"location": application.url + "/elsewhere"})
        url = application("/crm", reply)
    else:
        url = {"late": application("/crm", SLOW), "unreachable": NOBODY}.get(bad, "http://[::")
    call = await call_in(emulator, Passthru(url=url, ok=Greeting(text="x"), otherwise=Hangup()))
    assert call.transcript.path == [("Passthru", "otherwise"), ("Hangup", None)]
    assert application.at("/elsewhere") == [], "it follows no redirect"
    assert call.timeline.ended == pytest.approx(PATIENCE if bad == "late" else 0)


async def test_credentials_and_cookies(emulator: Emulator, application: Application) -> None:
    """Credentials can stand in the URL; cookies are not kept."""
    application("/crm", Reply(headers={"set-cookie": "session=1"}))
    url = application.url.replace("http://", "http://me:secret@") + "/crm"
    await call_in(emulator, Passthru(url=url, ok=Passthru(url=url)))
    for asked in application.at("/crm"):
        assert asked.headers["authorization"] == "Basic bWU6c2VjcmV0"
        assert "cookie" not in asked.headers


@pytest.mark.parametrize("reply", [Reply(500), Reply(200), SLOW])
async def test_an_asynchronous_passthru_is_not_waited_for(
    emulator: Emulator, application: Application, reply: Reply
) -> None:
    url = application("/crm", reply)
    start = Passthru(url=url, sync=False, ok=Hangup(), otherwise=Greeting(text="x"))
    call = await call_in(emulator, start)
    assert call.transcript.path == [("Passthru", "ok"), ("Hangup", None)]
    assert call.timeline.ended == 0
    application.only("/crm")
    (exchange,) = call.transcript.exchanges
    assert (exchange.status, exchange.error) == (
        (None, "Timeout") if reply is SLOW else (reply.status, None)
    )


def switch(url: str) -> Applet:
    return Passthru(
        url=url,
        ok=SwitchCase(name="s", cases={"gold": None, "Gold": None}, otherwise=None),
        otherwise="s",
    )


@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=utf-8"])
async def test_a_switch_case_selects(
    emulator: Emulator, application: Application, content_type: str
) -> None:
    url = application("/crm", text('{"select": "gold", "more": 1}', content_type))
    assert branch(await call_in(emulator, switch(url)), "s") == "gold"


NO_SELECTION = {
    "other case": text('{"select":"GOLD"}'),
    "space": text('{"select":"gold "}'),
    "not there": text('{"select":"silver"}'),
    "html": text('{"select":"gold"}', "text/html"),
    "json": json('{"select":"gold"}'),
    "no type": text('{"select":"gold"}', None),
    "bare word": text("gold"),
    "list": text('["gold"]'),
    "no select": text("{}"),
    "number": text('{"select":1}'),
    "empty": text(""),
    "deep": text("[" * 100_000),
    "not utf-8": Reply(200, b'{"select":"gold\xff"}', "text/plain"),
    "status": Reply(500, '{"select":"gold"}', "text/plain"),
    "late": Reply(200, '{"select":"gold"}', "text/plain", delay=5.0),
}


@pytest.mark.parametrize("why", NO_SELECTION)
async def test_a_switch_case_without_a_selection(
    emulator: Emulator, application: Application, why: str
) -> None:
    url = application("/crm", NO_SELECTION[why])
    assert branch(await call_in(emulator, switch(url)), "s") == "otherwise"


async def test_a_switch_case_takes_the_last_synchronous_passthru(
    emulator: Emulator, application: Application
) -> None:
    gold = application("/gold", text('{"select":"gold"}'))
    silver = application("/silver", text('{"select":"silver"}'))
    cases = SwitchCase(cases={"gold": None, "silver": None})
    last = Passthru(url=gold, ok=Passthru(url=silver, sync=False, ok=cases))
    assert branch(await call_in(emulator, last), "SwitchCase") == "gold"
    assert branch(await call_in(emulator, cases), "SwitchCase") == "otherwise"


MENU = Menu(
    name="main",
    text="Press one",
    keys={"1": Greeting(text="One"), "9": "main", "#": Hangup()},
    wait=7,
    repeat=1,
    otherwise=Hangup(name="none"),
)


@pytest.mark.parametrize(
    ("keys", "taken", "seconds"),
    [
        (["1"], ["1"], 1 + 1 + 1),
        (["#"], ["#"], 1 + 1),
        (["12"], ["1"], 1 + 1 + 1),
        (["2", "1"], ["1"], 1 + 1 + 1 + 1 + 1),
        (["", "1"], ["1"], 1 + 7 + 1 + 1 + 1),
        (["9", "1"], ["9", "1"], 1 + 1 + 1 + 1 + 1),
        ([], ["otherwise"], 1 + 7 + 1 + 7),
        (["2", "3"], ["otherwise"], 1 + 1 + 1 + 1),
    ],
)
async def test_a_menu(emulator: Emulator, keys: list[str], taken: list[str], seconds: int) -> None:
    call = await call_in(emulator, MENU, Caller(keys=keys))
    assert [exit_ for name, exit_ in call.transcript.path if name == "main"] == taken
    assert call.timeline.ended == seconds


async def test_a_menu_asks_for_its_prompt(emulator: Emulator, application: Application) -> None:
    """Each time it is said."""
    url = application("/prompt", text("Press one"))
    call = await call_in(
        emulator, Menu(url=url, keys={"1": None}, repeat=1), Caller(keys=["", "1"])
    )
    methods = [asked.method for asked in application.asked]
    assert methods == ["HEAD", "GET"] * 2, str(call.transcript)
    assert branch(call, "Menu") == "1"


@pytest.mark.parametrize("start", [Passthru(name="loop", url=NOBODY, otherwise="loop"), MENU])
async def test_a_loop_without_end_is_ended(emulator: Emulator, start: Applet) -> None:
    emulator.flow_settings.max_steps = 20
    call = await call_in(emulator, start, Caller(keys={"main": "9"}))
    assert len(call.transcript.steps) == 21
    assert call.transcript.steps[-1].branch is None
    assert "ended after 20 steps" in str(call.transcript)


STATIC = Gather(
    text="Your PIN", max_digits=4, finish_on_key="#", wait=3, repeat=1, otherwise=Hangup()
)


@pytest.mark.parametrize(
    ("keys", "digits", "seconds"),
    [
        (["1234"], "1234", 1 + 4),
        (["12345"], "1234", 1 + 4),
        (["12#"], "12", 1 + 3),
        (["12"], "12", 1 + 2 + 3),
        (["*0#"], "*0", 1 + 3),
        (["", "1#"], "1", 1 + 3 + 1 + 2),
        (["#", "1#"], "1", 1 + 1 + 1 + 2),
        ([], None, 1 + 3 + 1 + 3),
    ],
)
async def test_a_gather(
    emulator: Emulator,
    application: Application,
    keys: list[str],
    digits: str | None,
    seconds: int,
) -> None:
    start = Gather(
        text="Your PIN",
        max_digits=4,
        finish_on_key="#",
        wait=3,
        repeat=1,
        then=Passthru(url=application.url + "/pin"),
    )
    call = await call_in(emulator, start, Caller(keys=keys))
    assert branch(call, "Gather") == ("otherwise" if digits is None else "then")
    assert call.timeline.ended == seconds
    if digits is not None:
        assert application.only("/pin").query["digits"] == f'"{digits}"', "with the quotes"


GATHER = """{"gather_prompt": {"text": "Enter"}, "max_input_digits": 5, "finish_on_key": "#",
    "input_timeout": 2, "repeat_menu": 1, "repeat_gather_prompt": {"audio_url": "http://x/a.wav"}}"""


async def test_a_gather_asks_what_to_gather(emulator: Emulator, application: Application) -> None:
    url = application("/gather", Reply(200, GATHER))
    call = await call_in(emulator, Gather(url=url), Caller(keys=["", "123456"]))
    assert said(call, "Gather") == [
        "says 'Enter'",
        "plays http://x/a.wav",
        *(f"the caller presses {key}" for key in "12345"),
    ]
    assert branch(call, "Gather") == "then"
    assert call.timeline.ended == 1 + 2 + 5 + 5
    assert application.only("/gather").headers["exotel-version"] == "1.0"


async def test_a_gather_with_nothing_but_a_prompt(
    emulator: Emulator, application: Application
) -> None:
    """No limit of digits; five seconds; no repeat."""
    url = application("/gather", json('{"gather_prompt":{"audio_url":"http://x/a.wav"},"new":[]}'))
    call = await call_in(emulator, Gather(url=url), Caller(keys=["1234567890"]))
    assert call.timeline.ended == 5 + 10 + 5
    call = await call_in(emulator, Gather(url=url))
    assert (branch(call, "Gather"), call.timeline.ended) == ("otherwise", 5 + 5)


BAD_GATHERS = {
    **{f"status {status}": Reply(status, GATHER) for status in BAD_STATUSES},
    "empty": Reply(200, ""),
    "html": Reply(200, "<html>"),
    "list": json("[]"),
    "no prompt": json('{"max_input_digits": 5}'),
    "empty prompt": json('{"gather_prompt": {}}'),
    "bare prompt": json('{"gather_prompt": "Enter"}'),
    "number as text": json('{"gather_prompt": {"text": "x"}, "max_input_digits": "5"}'),
    "late": Reply(200, GATHER, delay=5.0),
}


@pytest.mark.parametrize("why", [*BAD_GATHERS, "unreachable", "type"])
async def test_a_bad_answer_to_a_gather(
    emulator: Emulator, application: Application, why: str
) -> None:
    url = application("/gather", BAD_GATHERS.get(why, Reply(200, GATHER, "text/html")))
    emulator.flow_settings.json_type = why == "type"
    start = Gather(url=NOBODY if why == "unreachable" else url, otherwise=Hangup())
    call = await call_in(emulator, start, Caller(keys=["1"]))
    assert branch(call, "Gather") == "otherwise"
    assert said(call, "Gather") == []


async def test_digits_may_come_once_only(emulator: Emulator, application: Application) -> None:
    application("/pin", Reply())
    url = application.url + "/pin"
    start = Gather(text="x", max_digits=1, then=Passthru(url=url, ok=Passthru(url=url)))
    await call_in(emulator, start, Caller(keys=["1"]))
    emulator.flow_settings.digits_once = True
    await call_in(emulator, start, Caller(keys=["1"]))
    assert [asked.query.get("digits") for asked in application.asked] == ['"1"', '"1"', '"1"', None]


VOICEMAIL = Voicemail(text="Speak", max_seconds=20)


@pytest.mark.parametrize(("speaks", "recorded"), [(12, 12), (90, 20)])
@pytest.mark.parametrize("leaves", [False, True])
async def test_a_voicemail(
    emulator: Emulator,
    application: Application,
    client: httpx.AsyncClient,
    speaks: int,
    recorded: int,
    leaves: bool,
) -> None:
    """It shows at a later Passthru, which comes whether the caller has hung up or not."""
    emulator.flow_settings.call_status = True
    start = Voicemail(text="Speak", max_seconds=20, then=Passthru(url=application.url + "/mail"))
    caller = Caller(speaks=speaks, hangs_up_at="Voicemail" if leaves else None)
    call = await call_in(emulator, start, caller)
    query = application.only("/mail").query
    assert query["CallType"] == "voicemail"
    assert query["CallStatus"] == ("completed" if leaves else "in-progress")
    assert query["RecordingUrl"].endswith(f"/exotelrecordings/acme1/{call.sid}.mp3")
    assert call.timeline.ended == 1 + recorded
    record = (await client.get(f"Calls/{call.sid}.json")).json()["Call"]
    assert record["RecordingUrl"] == query["RecordingUrl"]
    audio = await client.get(query["RecordingUrl"])
    assert audio.headers["content-type"] == "audio/mpeg"
    assert audio.content == emulator.recording(call.sid)
    assert abs(len(audio.content) / 36 * 576 / 16_000 - recorded) < 0.1


async def test_a_silent_voicemail_leaves_none(emulator: Emulator, application: Application) -> None:
    start = Voicemail(then=Passthru(url=application.url + "/mail"))
    call = await call_in(emulator, start)
    query = application.only("/mail").query
    assert query["CallType"] == "call-attempt"
    assert "RecordingUrl" not in query
    assert call.recording is None


async def test_an_sms(emulator: Emulator, application: Application) -> None:
    url = application("/sms", text("Bye from us\n", "text/plain; charset=utf-8"))
    other = Sms(text="A caller!", to="+919812300001")
    call = await call_in(emulator, Greeting(text="x", then=Sms(url=url, then=other)))
    assert [asked.method for asked in application.at("/sms")] == ["HEAD", "GET"]
    at = call.at + 1
    assert emulator.sms == [
        SentSms(sid=call.sid, from_=EXOPHONE, to=CUSTOMER, text="Bye from us", sent=at),
        SentSms(sid=call.sid, from_=EXOPHONE, to="09812300001", text="A caller!", sent=at),
    ]


async def test_an_email(emulator: Emulator) -> None:
    start = Email(to="desk@example.com", subject="A call", text="Somebody called", then=Hangup())
    call = await call_in(emulator, start)
    assert branch(call, "Email") == "then"
    assert emulator.emails == [
        SentEmail(
            sid=call.sid,
            to=("desk@example.com",),
            subject="A call",
            text="Somebody called",
            sent=call.at,
        )
    ]
    emulator.reset()
    assert list(emulator.emails) == list(emulator.sms) == []


async def test_hangup_and_the_end_of_the_flow(emulator: Emulator) -> None:
    call = await call_in(emulator, Greeting(text="x", then=Hangup()))
    assert str(call.transcript).endswith("hung up after 1 s: completed")
    call = await call_in(emulator, Greeting(text="x"))
    assert str(call.transcript).endswith("ended by its flow after 1 s: completed")


async def test_a_transfer(emulator: Emulator, application: Application) -> None:
    other = Flow("927", start=Passthru(name="there", url=application.url + "/there"))
    call = await call_in(emulator, Transfer(flow=927), others=[other])
    assert call.transcript.path == [("Transfer", "927"), ("there", "ok")]
    assert application.only("/there").query["flow_id"] == "927"


async def test_a_transfer_to_a_flow_taken_away_meanwhile(
    emulator: Emulator, application: Application
) -> None:
    start = Greeting(text="x", then=Transfer(flow=927))
    emulator.flows = [Flow(926, start=start), Flow(927, start=Hangup())]
    emulator.exophone_flows[EXOPHONE] = 926
    call = await emulator.incoming_call(CUSTOMER, EXOPHONE)
    emulator.flows = []
    await emulator.finish_calls()
    assert call.transcript.path == [("Greeting", "then"), ("Transfer", None)]


@pytest.mark.parametrize("where", ["Greeting", "main", "Passthru"])
async def test_a_caller_hangs_up_at_an_applet(
    emulator: Emulator, application: Application, where: str
) -> None:
    crm = Passthru(url=application.url + "/crm")
    start = Greeting(text="x", then=Menu(name="main", text="x", keys={}, otherwise=crm))
    call = await call_in(emulator, start, Caller(hangs_up_at=where))
    assert application.asked == []
    assert call.transcript.path[-1] == (where, None)
    assert call.status == "completed"
    assert "ended by the caller" in str(call.transcript)


def test_settings_have_the_defaults_of_the_notes() -> None:
    settings = FlowSettings()
    assert (settings.timeout, settings.created, settings.end_time) == (
        5.0,
        "rfc",
        "1970-01-01 05:30:00",
    )


BOT = "wss://bot.example/1?sample-rate=16000"


async def test_a_voicebot_asks_for_the_url_of_its_bot(
    emulator: Emulator, application: Application
) -> None:
    url = application("/bot", json(f'{{"url": "{BOT}"}}'))
    call = await call_in(emulator, Voicebot(url=url, talk=30, then=Hangup()))
    asked = application.only("/bot")
    assert (asked.method, asked.query["CallSid"]) == ("GET", call.sid)
    assert said(call, "Voicebot") == [f"streams to {BOT}"]
    assert call.transcript.path == [("Voicebot", "then"), ("Hangup", None)]
    assert call.timeline.ended == 30

    emulator.flow_settings.voicebot_parameters = False
    await call_in(emulator, Voicebot(url=url))
    assert application.at("/bot")[-1].query == {}


async def test_a_voicebot_with_one_bot_ends_at_once(emulator: Emulator) -> None:
    call = await call_in(emulator, Voicebot(stream_url=BOT, then=Hangup()))
    assert said(call, "Voicebot") == [f"streams to {BOT}"]
    assert call.transcript.exchanges == []
    assert call.timeline.ended == 0


@pytest.mark.parametrize(("talk", "ended"), [(10, 10), (40, 30), (None, 30)])
async def test_a_caller_may_leave_the_bot(
    emulator: Emulator, application: Application, talk: int | None, ended: int
) -> None:
    told = Passthru(url=application.url + "/told")
    start = Voicebot(stream_url=BOT, talk=30, then=told)
    call = await call_in(emulator, start, Caller(talk=talk))
    assert call.timeline.ended == ended
    assert ("the caller hangs up" in said(call, "Voicebot")) == (talk == 10)
    assert len(application.at("/told")) == 1


BAD_STREAMS = {
    "no JSON": json("wss://bot.example"),
    "no object": json(f'["{BOT}"]'),
    "no url": json('{"stream_url": "wss://bot.example"}'),
    "null": json('{"url": null}'),
    "https": json('{"url": "https://bot.example"}'),
    "another type": text(f'{{"url": "{BOT}"}}'),
    "late": Reply(200, f'{{"url": "{BOT}"}}', "application/json", delay=5.0),
    **{
        str(status): Reply(status, f'{{"url": "{BOT}"}}', "application/json")
        for status in BAD_STATUSES
    },
}


@pytest.mark.parametrize("why", [*BAD_STREAMS, "unreachable"])
async def test_a_bad_answer_to_a_voicebot(
    emulator: Emulator, application: Application, why: str
) -> None:
    emulator.flow_settings.timeout = PATIENCE if why == "late" else SOON
    url = NOBODY if why == "unreachable" else application("/bot", BAD_STREAMS[why])
    emulator.flow_settings.json_type = True
    call = await call_in(emulator, Voicebot(url=url, talk=30, then=Hangup()))
    assert said(call, "Voicebot") == []
    assert any(note.startswith("of no use") for note in call.transcript.step("Voicebot").notes)
    assert call.transcript.path == [("Voicebot", "then"), ("Hangup", None)]
    assert call.timeline.ended == pytest.approx(PATIENCE if why == "late" else 0)

    emulator.flow_settings.bad_stream = "hang-up"
    call = await call_in(emulator, Voicebot(url=url, then=Hangup()))
    assert branch(call, "Voicebot") is None
    assert "bad answer" in str(call.transcript)
