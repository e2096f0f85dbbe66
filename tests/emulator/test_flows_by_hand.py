"""Flows whose caller or agents people play: keys, messages, conversations, and who hangs up."""

from __future__ import annotations

import asyncio

import attrs
import httpx
import pytest

from exotel_async.emulator import (
    Applet,
    Behaviour,
    Caller,
    Connect,
    EmulatedCall,
    Emulator,
    Flow,
    Gather,
    Greeting,
    Menu,
    Passthru,
    Scenario,
    Voicemail,
)
from tests.emulator.application import Application, Reply
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, FLOW_URL, branch, dial, until

OTHER = "09812300003"
PLAYED = Caller(manual=True)
PROMPT = "https://app.example/prompt.wav"
ASKED = Menu(name="menu", audio=PROMPT, keys={"1": None, "2": None}, wait=8)


@attrs.define
class Person:
    """Plays the phones of one call."""

    emulator: Emulator
    call: EmulatedCall

    def phones(self) -> dict[str, str]:
        """How each stands, by its number."""
        return {phone.number: phone.state for phone in self.emulator.phones(self.call.sid)}

    async def sees(self, number: str, state: str) -> None:
        """Wait until that phone stands so."""
        if state == "ringing":
            phone = await self.emulator.until_ringing(self.call.sid, number)
            assert (phone.number, phone.state) == (number, "ringing")
        else:
            await until(lambda: self.phones().get(number) == state)

    async def is_asked(self, what: str) -> None:
        """Wait until the flow waits for that from the caller."""
        assert (await self.emulator.until_asked(self.call.sid)).waits_for == what

    def answer(self, number: str = AGENT) -> None:
        self.emulator.answer(self.call.sid, number)

    def reject(self, number: str = AGENT) -> None:
        self.emulator.reject(self.call.sid, number)

    def hang_up(self, number: str = CUSTOMER) -> None:
        self.emulator.hang_up(self.call.sid, number)

    def press(self, keys: str) -> None:
        self.emulator.press(self.call.sid, keys)

    def speak(self, seconds: int) -> None:
        self.emulator.speak(self.call.sid, seconds)

    async def over(self) -> str:
        """Wait for the end; the transcript."""
        await self.call.over()
        return str(self.call.transcript)


async def call_in(emulator: Emulator, start: Applet, caller: Caller | None = PLAYED) -> Person:
    """Let a call come in to a flow of those applets."""
    emulator.flow_settings.audio_seconds = 0
    emulator.flow_settings.call_status = True
    emulator.flow_settings.disconnected_by = "Caller", "Callee"
    emulator.flows = [Flow(926, start=start)]
    emulator.exophone_flows[EXOPHONE] = 926
    return Person(emulator, await emulator.incoming_call(CUSTOMER, EXOPHONE, caller=caller))


async def test_keys_for_a_menu(emulator: Emulator) -> None:
    person = await call_in(emulator, ASKED)
    await person.is_asked("keys")
    (phone,) = emulator.phones(person.call.sid)
    assert (phone.role, phone.state, phone.manual) == ("caller", "connected", True)
    assert phone.hears == PROMPT
    person.press("2")
    transcript = await person.over()
    assert "the caller presses 2" in transcript
    assert branch(person.call, "menu") == "2"
    assert person.phones() == {CUSTOMER: "ended"}


async def test_a_wrong_key_has_the_prompt_repeated(emulator: Emulator) -> None:
    person = await call_in(emulator, attrs.evolve(ASKED, repeat=1))
    person.press("91")
    await person.over()
    assert branch(person.call, "menu") == "1"
    plays = [note for note in person.call.transcript.step("menu").notes if "plays" in note]
    assert len(plays) == 2


@pytest.mark.parametrize(
    ("pressed", "digits"), [(["12#"], "12"), (["1", "2", "3"], "123"), (["#"], None)]
)
async def test_keys_for_a_gather(
    emulator: Emulator, application: Application, pressed: list[str], digits: str | None
) -> None:
    """To the key that ends them, or up to so many."""
    told = Passthru(url=application.url + "/told")
    gather = Gather(
        audio=PROMPT,
        max_digits=3,
        finish_on_key="#",
        name="pin",
        wait=60,
        then=told,
        otherwise=told,
    )
    person = await call_in(emulator, gather)
    for keys in pressed:
        await person.is_asked("keys")
        person.press(keys)
    await person.over()
    query = application.only("/told").query
    assert query.get("digits") == (None if digits is None else f'"{digits}"')


async def test_keys_are_waited_for_by_the_clock() -> None:
    """Each one anew. The clock is slow enough for a key to come in time on a busy machine."""
    async with Emulator(speed=20) as emulator:
        gather = Gather(audio=PROMPT, wait=6, name="pin")
        person = await call_in(emulator, gather)
        await person.is_asked("keys")
        person.press("7")
        await person.over()
        assert branch(person.call, "pin") == "then"
        notes = person.call.transcript.steps[0].entries
        assert person.call.timeline.ended == notes[-1].at + 6

        person = await call_in(emulator, ASKED)
        await person.over()
        assert (branch(person.call, "menu"), person.call.timeline.duration) == ("otherwise", 8)


async def test_keys_pressed_early_are_kept_for_the_question(emulator: Emulator) -> None:
    person = await call_in(emulator, Greeting(audio=PROMPT, then=ASKED))
    person.press("1")
    await person.over()
    assert branch(person.call, "menu") == "1"


async def test_keys_that_a_caller_cannot_press(emulator: Emulator) -> None:
    person = await call_in(emulator, Connect(numbers=AGENT, then=ASKED))
    for keys in ("", "1a", "१"):
        with pytest.raises(ValueError, match="keys: a telephone has"):
            person.press(keys)
    with pytest.raises(ValueError, match="seconds: a message is 1 second"):
        person.speak(0)
    with pytest.raises(ValueError, match="no Voicemail waits"):
        person.speak(5)
    emulator.manual = [AGENT]
    person = await call_in(emulator, Connect(numbers=AGENT, then=ASKED))
    await person.sees(AGENT, "ringing")
    person.answer()
    with pytest.raises(ValueError, match="they talk to an agent"):
        person.press("1")
    person.hang_up(AGENT)
    await person.is_asked("keys")
    with pytest.raises(ValueError, match="the agent cannot press keys: the phone is ended"):
        emulator.press(person.call.sid, "1", number=AGENT)


@pytest.mark.parametrize("start", [Greeting(text="Hello " * 50), ASKED, Gather(text="x" * 900)])
async def test_the_caller_hangs_up_at_any_moment(
    emulator: Emulator, application: Application, start: Applet
) -> None:
    person = await call_in(emulator, start)
    await until(lambda: emulator.phones(person.call.sid)[0].hears is not None)
    person.hang_up()
    transcript = await person.over()
    assert "the caller hangs up" in transcript
    assert "ended by the caller" in transcript
    assert person.call.status == "completed"
    assert person.call.timeline.ended < 8
    with pytest.raises(ValueError, match="the phone is ended"):
        person.press("1")


async def test_who_hangs_up_while_the_application_thinks_is_seen_to_have_left(
    emulator: Emulator, application: Application
) -> None:
    """What needs no caller goes on."""
    late = application("/late", Reply(delay=0.1))
    told = Passthru(url=application.url + "/told", name="told")
    person = await call_in(emulator, Passthru(url=late, ok=attrs.evolve(told, ok=ASKED)))
    await until(lambda: bool(application.at("/late")))
    before = person.call.age
    person.hang_up()
    after = person.call.age
    await person.over()
    assert before <= person.call.timeline.ended <= after
    assert application.only("/told").query["CallStatus"] == "completed"
    assert [name for name, _ in person.call.transcript.path] == ["Passthru", "told"]


async def test_a_message_to_a_voicemail(emulator: Emulator, application: Application) -> None:
    told = Passthru(url=application.url + "/told")
    person = await call_in(emulator, attrs.evolve(ASKED, keys={"1": Voicemail(then=told)}))
    await person.is_asked("keys")
    person.press("1")
    await person.is_asked("message")
    person.press("9")
    person.speak(20)
    with pytest.raises(ValueError, match="no Voicemail waits"):
        person.speak(20)
    await emulator.finish_calls()
    assert "the caller speaks for 20 s" in await person.over()
    assert person.call.recording is not None
    assert person.call.recording.seconds == 20
    assert application.only("/told").query["CallType"] == "voicemail"


async def test_a_message_ends_with_the_call(application: Application) -> None:
    async with Emulator(speed=50) as emulator:
        told = Passthru(url=application.url + "/told")
        person = await call_in(emulator, Voicemail(then=told, max_seconds=100))
        await person.is_asked("message")
        person.speak(90)
        call = person.call
        began = call.age
        await until(lambda: call.age > began + 2)
        person.hang_up()
        await person.over()
        assert call.recording is not None
        assert 2 <= call.recording.seconds < 90
        assert "RecordingUrl" in application.only("/told").query


@pytest.mark.parametrize("leaves", [True, False])
async def test_no_message(emulator: Emulator, application: Application, *, leaves: bool) -> None:
    told = Passthru(url=application.url + "/told")
    person = await call_in(emulator, Voicemail(then=told))
    await person.is_asked("message")
    if leaves:
        person.hang_up()
    else:
        await emulator.finish_calls()
    await person.over()
    assert person.call.recording is None
    assert "RecordingUrl" not in application.only("/told").query


async def test_a_conversation(emulator: Emulator, application: Application) -> None:
    """It lasts until one of the two hangs up; with the agent, the flow goes on."""
    emulator.manual = [AGENT, CUSTOMER]
    connect = Connect(numbers=AGENT, events_url=application.url + "/events", then=ASKED, name="c")
    person = await call_in(emulator, connect, None)
    await person.sees(AGENT, "ringing")
    assert person.phones() == {CUSTOMER: "connected", AGENT: "ringing"}
    assert person.call.channels == 2
    person.answer()
    await until(lambda: len(application.at("/events")) == 2)
    assert person.call.legs()[1].status == "in-progress"
    person.hang_up(AGENT)
    await person.is_asked("keys")
    assert person.call.channels == 1
    person.press("1")
    transcript = await person.over()
    assert branch(person.call, "c") == "then"
    assert "09812300001 answers" in transcript
    events = [asked.query["EventType"] for asked in application.at("/events")]
    assert events == ["Dial", "Answered", "Terminal"]


@pytest.mark.parametrize("who", [AGENT, CUSTOMER])
async def test_who_ended_the_conversation(
    emulator: Emulator, application: Application, who: str
) -> None:
    emulator.manual = "*"
    told = Passthru(url=application.url + "/told")
    person = await call_in(emulator, Connect(numbers=AGENT, then=told))
    await person.sees(AGENT, "ringing")
    person.answer()
    person.hang_up(who)
    await person.over()
    query = application.only("/told").query
    assert query["Legs[0][DisconnectedBy]"] == ("Callee" if who == AGENT else "Caller")
    assert query["Legs[0][CauseCode]"] == "NORMAL_CLEARING"
    assert (query["CallType"], query["DialCallStatus"]) == ("completed", "completed")
    assert query["CallStatus"] == ("in-progress" if who == AGENT else "completed")


async def test_a_rejected_agent_and_the_next_one(
    emulator: Emulator, application: Application
) -> None:
    emulator.manual = "*"
    told = Passthru(url=application.url + "/told")
    person = await call_in(emulator, Connect(numbers=[AGENT, OTHER], then=told))
    await person.sees(AGENT, "ringing")
    person.reject()
    await person.sees(OTHER, "ringing")
    assert person.phones()[AGENT] == "ended"
    person.answer(OTHER)
    person.hang_up(OTHER)
    await person.over()
    query = application.only("/told").query
    assert (query["Legs[0][CauseCode]"], query["Legs[1][CauseCode]"]) == (
        "USER_BUSY",
        "NORMAL_CLEARING",
    )


async def test_the_caller_leaves_while_the_agent_rings(
    emulator: Emulator, application: Application
) -> None:
    emulator.manual = "*"
    told = Passthru(url=application.url + "/told")
    person = await call_in(emulator, Connect(numbers=[AGENT, OTHER], no_answer=told))
    await person.sees(AGENT, "ringing")
    person.hang_up()
    transcript = await person.over()
    assert "09812300001: canceled" in transcript
    assert OTHER not in person.phones()
    assert application.only("/told").query["CallType"] == "client-hangup"


async def test_of_two_phones_of_one_number_it_is_the_one_that_can(emulator: Emulator) -> None:
    """A caller whom the flow rings, too."""
    emulator.manual = "*"
    person = await call_in(emulator, Connect(name="c", numbers=CUSTOMER))
    await person.sees(CUSTOMER, "ringing")
    person.hang_up(CUSTOMER)
    assert [phone.state for phone in emulator.phones(person.call.sid)] == ["ended", "ringing"]
    await person.over()
    assert branch(person.call, "c") == "no_answer"


async def test_the_first_of_several_to_answer(emulator: Emulator) -> None:
    """A person and the scenario side by side: it answers after 5 s."""
    emulator.manual = [CUSTOMER, AGENT, "09812300004"]
    connect = Connect(numbers=[OTHER, AGENT, "09812300004"], parallel=3)
    person = await call_in(emulator, connect)
    await person.sees("09812300004", "ringing")
    person.answer()
    with pytest.raises(ValueError, match="the agent cannot answer: another one has"):
        person.answer("09812300004")
    with pytest.raises(ValueError, match="the agent cannot answer: the phone is connected"):
        person.answer()
    await person.sees(OTHER, "ended")
    assert person.phones() == {
        CUSTOMER: "connected",
        OTHER: "ended",
        AGENT: "connected",
        "09812300004": "ended",
    }
    person.hang_up()
    assert "09812300003: canceled" in await person.over()

    person = await call_in(emulator, connect)
    await emulator.finish_calls()
    assert "09812300003 answers" in await person.over()
    assert "09812300001: canceled" in str(person.call.transcript)
    assert person.call.timeline.talked == 30


async def test_an_agent_rings_by_the_clock(application: Application) -> None:
    async with Emulator(speed=200, manual=[AGENT]) as emulator:
        told = Passthru(url=application.url + "/told")
        connect = Connect(numbers=AGENT, ring_limit=12, no_answer=told)
        person = await call_in(emulator, connect, Caller())
        await person.over()
        query = application.only("/told").query
        assert query["Legs[0][CauseCode]"] == "RING_TIMEOUT"
        rings, over = person.call.transcript.step("Connect").entries
        assert over.at == rings.at + 12


@pytest.mark.parametrize(
    ("caller", "talked"), [(Caller(talk=40), 40), (Caller(talk=90), 60), (Caller(), 60)]
)
async def test_a_scripted_caller_talks_to_a_person(caller: Caller, talked: int) -> None:
    """Until the script, or the limit, has it."""
    async with Emulator(speed=400, manual=[AGENT]) as emulator:
        person = await call_in(emulator, Connect(numbers=AGENT, talk_limit=60), caller)
        await person.sees(AGENT, "ringing")
        person.answer()
        await person.over()
        assert person.call.timeline.talked == talked


async def test_an_agent_who_hangs_up_before_a_scripted_caller_leaves_them_in_the_flow(
    emulator: Emulator,
) -> None:
    emulator.manual = [AGENT]
    connect = Connect(numbers=AGENT, then=Greeting(text="Goodbye", name="bye"))
    person = await call_in(emulator, connect, Caller(talk=3600))
    await person.sees(AGENT, "ringing")
    person.answer()
    await until(lambda: person.call.timeline.bridged is not None)
    person.hang_up(AGENT)
    await emulator.finish_calls()
    assert branch(person.call, "bye") == "then"


async def test_an_agent_may_hang_up_while_something_is_played(
    emulator: Emulator, application: Application
) -> None:
    emulator.manual = "*"
    whisper = application(
        "/whisper",
        Reply(
            200,
            '{"start_call_playback": {"playback_to": "callee", "type": "text", "value": "'
            + "Hello " * 99
            + '"}}',
            "application/json",
        ),
    )
    connect = Connect(numbers=AGENT, whisper_url=whisper, then=ASKED)
    person = await call_in(emulator, connect)
    await person.sees(AGENT, "ringing")
    person.answer()
    await until(lambda: emulator.phones(person.call.sid)[1].hears is not None)
    person.hang_up(AGENT)
    await person.is_asked("keys")
    assert "they talked for 0 s" in str(person.call.transcript)


async def test_a_dialled_party(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """Their phone rings first; they are the caller of the flow then."""
    emulator.flow_settings.audio_seconds = 0
    emulator.flows = [Flow(926, start=ASKED)]
    emulator.callers[CUSTOMER] = PLAYED
    sid = await dial(client, Url=FLOW_URL)
    person = Person(emulator, emulator.calls[sid])
    assert [(p.role, p.state) for p in emulator.phones(sid)] == [("caller", "ringing")]
    person.answer(CUSTOMER)
    person.press("2")
    await person.over()
    assert branch(person.call, "menu") == "2"
    assert (person.call.status, emulator.rung(CUSTOMER)) == ("completed", 1)


@pytest.mark.parametrize(("rejects", "status"), [(True, "busy"), (False, "no-answer")])
async def test_a_dialled_party_that_does_not_answer(
    emulator: Emulator,
    client: httpx.AsyncClient,
    application: Application,
    status: str,
    *,
    rejects: bool,
) -> None:
    emulator.flows = [Flow(926, start=ASKED)]
    emulator.manual = [CUSTOMER]
    sid = await dial(client, Url=FLOW_URL, StatusCallback=application.url + "/status", TimeOut="9")
    if rejects:
        emulator.reject(sid, CUSTOMER)
    await emulator.finish_calls()
    call = emulator.calls[sid]
    assert call.status == status
    assert f"not answered after {0 if rejects else 9} s: {status}" in str(call.transcript)
    assert [sent.document["Status"] for sent in emulator.callbacks] == [status]


async def test_finish_calls_ends_what_nobody_plays(emulator: Emulator) -> None:
    emulator.manual = "*"
    connect = Connect(numbers=AGENT, talk_limit=3600, then=attrs.evolve(ASKED, repeat=1))
    person = await call_in(emulator, connect)
    await person.sees(AGENT, "ringing")
    person.answer()
    await emulator.finish_calls()
    call = person.call
    assert call.transcript.path == [("Connect", "then"), ("menu", "otherwise")]
    assert call.timeline.talked < 60
    assert call.timeline.parted is not None
    assert call.timeline.ended == call.timeline.parted + 16


async def test_a_scenario_that_does_not_reach_an_agent(emulator: Emulator) -> None:
    """Nobody is drawn to leave for whom a person plays."""
    emulator.scenario = Scenario(numbers={AGENT: Behaviour("canceled", ring=4)})
    person = await call_in(emulator, Connect(numbers=AGENT))
    await emulator.finish_calls()
    assert "09812300001: no-answer" in await person.over()
    assert "hangs up" not in str(person.call.transcript)


async def test_phones_of_a_flow_that_nobody_plays(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.flows = [Flow(926, start=Connect(numbers=AGENT))]
    sid = await dial(client, Url=FLOW_URL)
    person = Person(emulator, emulator.calls[sid])
    assert person.phones() == {CUSTOMER: "ringing"}
    with pytest.raises(ValueError, match="the caller cannot answer by hand"):
        person.answer(CUSTOMER)
    await emulator.finish_calls()
    assert person.phones() == {CUSTOMER: "ended", AGENT: "ended"}


async def test_what_the_application_takes_is_time_to_a_person(application: Application) -> None:
    """Otherwise the agent's phone would be given up before it rings."""
    async with Emulator(speed=100, manual=[AGENT]) as emulator:
        late = application("/late", Reply(delay=0.2))
        connect = Connect(numbers=AGENT, ring_limit=10)
        person = await call_in(emulator, Passthru(url=late, ok=connect))
        await person.over()
        rings, over = person.call.transcript.step("Connect").entries
        assert rings.at >= 20
        assert over.at == rings.at + 10


async def test_a_reset_ends_what_people_play(emulator: Emulator) -> None:
    emulator.manual = "*"
    person = await call_in(emulator, ASKED)
    await person.is_asked("keys")
    run = person.call.run
    assert run is not None
    waits = asyncio.create_task(emulator.until_ringing(person.call.sid, AGENT))
    await asyncio.sleep(0)
    emulator.reset()
    with pytest.raises(KeyError):
        person.press("1")
    with pytest.raises(ValueError, match="the call is over"):
        await waits
    await asyncio.wait([run])
    assert run.cancelled()
