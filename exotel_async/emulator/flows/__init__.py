"""Flows: graphs of applets that calls walk through, with a caller who follows a script.

They send HTTP requests to the user's application, as Exotel's applets do::

    flow = Flow(
        926,
        start=Passthru(
            url="http://127.0.0.1:8000/crm",
            ok=Connect(numbers=["09812300001"], no_answer=Voicemail(text="Please leave a message")),
            otherwise=Hangup(),
        ),
    )
    async with Emulator(flows=[flow], exophone_flows={"08030000000": 926}) as emulator:
        call = await emulator.incoming_call("09812300002", "08030000000", caller=Caller(speaks=9))
        await emulator.finish_calls()
        print(call.transcript)
"""
