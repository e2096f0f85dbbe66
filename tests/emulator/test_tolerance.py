"""What nothing shows that Exotel refuses: taken, and refused by a switch each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async.emulator import Dial, EmulatedCall, Emulator, Flow, Greeting
from exotel_async.emulator.api_errors import Refusal
from exotel_async.emulator.dial_request import flow_of, read_dial
from exotel_async.emulator.encoding import Pairs
from exotel_async.emulator.parameters import merged
from exotel_async.emulator.settings import Settings
from tests.emulator.support import (
    AGENT,
    CUSTOMER,
    EXOPHONE,
    FLOW_URL,
    TO_FLOW,
    TWO_NUMBERS,
    dial,
    listing,
)

MUMBAI = "http://my.in.exotel.com/acme1/exoml/start_voice/926"
OPTIONAL = [
    "CallType",
    "TimeLimit",
    "TimeOut",
    "WaitUrl",
    "Record",
    "RecordingChannels",
    "RecordingFormat",
    "CustomField",
    "StartPlaybackToNew",
    "StartPlaybackValueNew",
    "StatusCallback",
    "StatusCallbackContentType",
    "StatusCallbackEvents[0]",
    "StreamUrl",
    "StreamType",
    "MaxRetries",
    "Url",
]
DIALS: Sequence[tuple[str, dict[str, str], str]] = [
    ("url_beside_to", {"Url": FLOW_URL, "To": CUSTOMER}, "To is not for a call to a flow"),
    ("empty_parameters", {"Record": ""}, "Record has no value"),
    ("zero_parameters", {"TimeLimit": "0"}, "TimeLimit must be above 0"),
    ("zero_parameters", {"TimeOut": "0"}, "TimeOut must be above 0"),
    ("any_case_record", {"Record": "True"}, "Record must be one of true, false"),
    ("any_case_record", {"Record": "FALSE"}, "Record must be one of true, false"),
    ("promo_calls", {"CallType": "promo"}, "CallType promo is no longer supported"),
    ("flow_url_slash", {"Url": FLOW_URL + "/"}, "Url ends in a slash"),
    *(
        ("other_flow_urls", {"Url": url}, "Url is not the URL of a flow as it is documented")
        for url in (
            MUMBAI,
            MUMBAI.replace("http:", "https:"),
            FLOW_URL.replace("http:", "https:"),
            "http://my.exotel.com/exoml/start_voice/926",
            "http://my.exotel.com/acme1/exoml/start/926",
            "http://127.0.0.1:8000/acme1/exoml/start_voice/926/",
        )
    ),
]
QUERIES: Sequence[tuple[str, str, str]] = [
    ("empty_parameters", "Calls.json?Status=&After=&PageSize=", "has no value"),
    ("zero_parameters", "Calls.json?PageSize=0", "PageSize"),
    ("status_operator", "Calls.json?Status=eq:completed", "Status must be one of"),
    ("bare_durations", "Calls.json?Duration=gte:0;lte:600", "Duration"),
    (
        "backward_ranges",
        "Calls.json?DateCreated=gte:2999-09-10 00:00:00",
        "DateCreated: it ends before it begins",
    ),
]


def only_call(emulator: Emulator) -> EmulatedCall:
    (call,) = emulator.calls.values()
    return call


def told(answer: httpx.Response) -> str:
    """What a 400 says."""
    assert answer.status_code == 400, answer.text
    message: str = answer.json()["RestException"]["Message"]
    return message


async def test_dials(emulator: Emulator, client: httpx.AsyncClient) -> None:
    for switch, parameters, message in DIALS:
        sid = await dial(client, **parameters)
        calls = dict(emulator.calls)
        if "Url" in parameters:
            assert calls[sid].dial.url == parameters["Url"]
            assert flow_of(parameters["Url"]) == "926"
        setattr(emulator, switch, False)
        base = TO_FLOW if "Url" in parameters else TWO_NUMBERS
        answer = await client.post("Calls/connect.json", data={**base, **parameters})
        assert message in told(answer), (switch, parameters)
        assert emulator.calls == calls
        setattr(emulator, switch, True)


async def test_queries(emulator: Emulator, client: httpx.AsyncClient) -> None:
    await dial(client, TimeLimit="0", TimeOut="0")
    await emulator.finish_calls()
    for switch, path, message in QUERIES:
        answer = await client.get(path)
        assert answer.status_code == 200, answer.text
        found = answer.json()["Metadata"]["Total"]
        assert found == (0 if switch == "backward_ranges" else 1), path
        setattr(emulator, switch, False)
        assert message in told(await client.get(path)), path
        setattr(emulator, switch, True)


async def test_a_range_that_ends_before_it_begins_finds_no_call_of_either_side(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    now = emulator.clock.elapsed()
    for ago in (30, 90, 150):
        call = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)
        emulator.add_call(call, ago=timedelta(seconds=ago))
    emulator.bulk_live = True
    begin, end = (emulator.clock.text(now - ago) for ago in (60, 120))
    assert (await listing(client, DateCreated=f"gte:{end};lte:{begin}"))["Metadata"]["Total"] == 1
    assert (await listing(client, DateCreated=f"gte:{begin};lte:{end}"))["Metadata"]["Total"] == 0


async def test_what_is_written_as_documented_is_refused_by_none(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    for switch, _, _ in [*DIALS, *QUERIES]:
        setattr(emulator, switch, False)
    emulator.query_parameters = "refuse"
    emulator.other_voice_urls = False
    for url in (FLOW_URL, "http://my.exotel.in/exoml/start/926"):
        await dial(client, Url=url)
    await dial(client, Record="true", CallType="trans", TimeLimit="14400", TimeOut="60")
    answer = await client.post("Calls/connect.json?details=true", data=TWO_NUMBERS)
    assert answer.status_code == 200
    query = {"Status": "completed", "Duration": "gte:1s", "PageSize": "1"}
    assert (await client.get("Calls.json", params=query)).status_code == 200


async def test_parameters_in_the_query_of_a_dial(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    """All of them, or some; of what the body has as well the body counts."""
    events = {"StatusCallbackEvents[0]": "terminal", "StatusCallback": "http://127.0.0.1:9/"}
    answer = await client.post("Calls/connect.json", params={**TWO_NUMBERS, **events})
    assert answer.status_code == 200, answer.text
    assert only_call(emulator).dial.events == {"terminal"}
    emulator.reset()
    answer = await client.post(
        "Calls/connect.json", params={"To": "1", "TimeOut": "9"}, data=TWO_NUMBERS
    )
    assert answer.status_code == 200, answer.text
    assert (only_call(emulator).to, only_call(emulator).dial.ring_timeout) == (CUSTOMER, 9)
    emulator.reset()
    emulator.query_parameters = "ignore"
    assert "From is" in told(await client.post("Calls/connect.json", params=TWO_NUMBERS))
    answer = await client.post("Calls/connect.json", params={"TimeOut": "9"}, data=TWO_NUMBERS)
    assert answer.status_code == 200
    assert only_call(emulator).dial.ring_timeout is None
    emulator.query_parameters = "refuse"
    answer = await client.post("Calls/connect.json", params={"TimeOut": "9"}, data=TWO_NUMBERS)
    assert "not in the query: TimeOut" in told(answer)


async def test_a_voice_url_that_leads_to_no_flow(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    """It is kept, and shown until there is a flow again."""
    emulator.flows = [Flow(926, start=Greeting(text="Hello"))]
    root = str(client.base_url).replace("/v1/", "/v2_beta/")
    listed = (await client.get(f"{root}IncomingPhoneNumbers")).json()["incoming_phone_numbers"]
    one = f"{root}IncomingPhoneNumbers/{listed[0]['sid']}"

    async def put(url: str) -> httpx.Response:
        return await client.put(one, data={"VoiceUrl": url})

    for url in ("http://example.com/flow", FLOW_URL, "http://example.com/other", ""):
        assert (await put(url)).json()["voice_url"] == (url or None)
        assert emulator.exophone_flows.get(EXOPHONE) == ("926" if url == FLOW_URL else None)
    emulator.other_voice_urls = emulator.flow_url_slash = emulator.zero_parameters = False
    assert "VoiceUrl does not lead to a flow" in told(await put("http://example.com/flow"))
    assert "VoiceUrl ends in a slash" in told(await put(FLOW_URL + "/"))
    assert "PageSize" in told(await client.get(f"{root}IncomingPhoneNumbers?PageSize=0"))
    assert (await client.get(one)).json()["voice_url"] is None


@given(st.sets(st.sampled_from(OPTIONAL)))
def test_an_empty_parameter_is_one_that_is_not_given(names: set[str]) -> None:
    form = [*TWO_NUMBERS.items(), *((name, "") for name in sorted(names))]
    assert read_dial(form, Settings()) == read_dial(list(TWO_NUMBERS.items()), Settings())
    if names:
        with pytest.raises(Refusal, match="has no value"):
            read_dial(form, Settings(empty_parameters=False))


FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["To", "TimeOut", "StatusCallbackEvents", "StatusCallbackEvents[]"])
        | st.integers(0, 2).map("StatusCallbackEvents[{}]".format),
        st.sampled_from(["", "1", "terminal", "answered"]),
    ),
    max_size=5,
)


@given(FIELDS, FIELDS)
def test_query_and_body_together(query: Pairs, form: Pairs) -> None:
    both = merged(query, form, Settings())
    assert merged(query, [], Settings()) == query
    assert merged([], form, Settings()) == form

    def of(pairs: Pairs, parameter: str) -> Pairs:
        return [pair for pair in pairs if pair[0].partition("[")[0] == parameter]

    for parameter in ("To", "TimeOut", "StatusCallbackEvents"):
        assert of(both, parameter) == (of(form, parameter) or of(query, parameter))
    assert merged(query, form, Settings(query_parameters="ignore")) == form
