"""The commands and their options."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, CycloptsError, Parameter, validators

from exotel_async import ConfigurationError, __version__
from exotel_async.cli import doctor as check
from exotel_async.cli import oneshot
from exotel_async.cli.service import Service
from exotel_async.cli.terminal import Exit, complain, err, out
from exotel_async.emulator import Emulator, RateWindow

if TYPE_CHECKING:
    from collections.abc import Sequence

_EVERYWHERE: Final = Service()
_TOKEN: Final = "emulator-token"  # noqa: S105 - opens nothing but an emulator

app: Final = App(
    name="exotel-async",
    help="Exotel Voice on the command line: dial, look up, check, and a local emulator to try.",
    version=__version__,
    console=out,
    error_console=err,
    suppress_keyboard_interrupt=False,
)


def run(arguments: Sequence[str] | None) -> int:
    """Run one command and return its exit code."""
    # What the SDK warns of, the commands tell in their own words.
    logging.getLogger("exotel_async").addHandler(logging.NullHandler())
    try:
        code = app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return Exit.USAGE
    except ConfigurationError as error:
        complain(str(error))
        return Exit.FAILED
    except KeyboardInterrupt:
        complain("interrupted")
        return Exit.INTERRUPTED
    return int(code or Exit.OK)


@app.command
def demo(
    *,
    calls: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=10_000))] = 200,
    speed: Annotated[float, Parameter(validator=validators.Number(gte=0.1, lte=100))] = 25,
    seed: int = 1,
) -> int:
    """Dial a batch of numbers on a local emulator and read the calls back.

    No real phone rings and nothing leaves this computer, whatever EXOTEL_* variables are set.

    Args:
        calls: How many numbers to dial.
        speed: How many times as fast as yours the emulator's clock runs.
        seed: Draws what becomes of the calls.
    """
    from exotel_async.cli.demo import Plan, demo  # noqa: PLC0415

    return demo(Plan(calls=calls, speed=speed, seed=seed))


@app.command
def call(
    from_: Annotated[str, Parameter(name="FROM")],
    to: Annotated[str | None, Parameter(name="TO")] = None,
    /,
    *,
    caller_id: str,
    flow: str | None = None,
    custom_field: str | None = None,
    record: bool | None = None,
    time_limit: int | None = None,
    ring_timeout: int | None = None,
    status_callback: str | None = None,
    service: Service = _EVERYWHERE,
) -> int:
    """Dial once: ring FROM, and when it answers, connect it to TO or to a flow.

    It dials without asking again, and a call costs money. Exit codes: 0 dialled, 1 nothing was
    dialled, 2 wrong usage, 3 not known whether it was, 130 interrupted.

    Args:
        from_: The party rung first.
        to: The number rung second.
        caller_id: Your ExoPhone, which they see.
        flow: A flow's id or URL, instead of TO.
        custom_field: Comes back with the call, at most 128 characters.
        record: Record the call.
        time_limit: Seconds the call may last at most.
        ring_timeout: Seconds each party is rung.
        status_callback: URL that is told how the call ended.
    """
    if (to is None) == (flow is None):
        complain("give either a second number (TO) or --flow")
        return Exit.USAGE
    order = oneshot.Order(
        from_=from_,
        to=to,
        flow=flow,
        caller_id=caller_id,
        options={
            "custom_field": custom_field,
            "record": record,
            "time_limit": time_limit,
            "ring_timeout": ring_timeout,
            "status_callback": status_callback,
        },
    )
    return oneshot.call(order, service)


@app.command
def number(
    digits: Annotated[str, Parameter(name="NUMBER")],
    /,
    *more: Annotated[str, Parameter(show=False)],
    service: Service = _EVERYWHERE,
) -> int:
    """Tell what Exotel knows about a phone number: circle, operator, type, DND.

    Args:
        digits: An Indian phone number; spaces in it need no quotes.
    """
    return oneshot.number(" ".join([digits, *more]), service)


@app.command
def doctor(*, service: Service = _EVERYWHERE) -> int:
    """Check credentials, host and clock with one request, and say in one line what is wrong."""
    return check.doctor(service)


@app.command
def emulator(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 8020,
    speed: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 1.0,
    rate: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 200,
    window: RateWindow = RateWindow.SLIDING_LOG,
    seed: int = 0,
    account: str = "acme1",
    key: str = "emulator-key",
    token: Annotated[str, Parameter(show_default=False)] = _TOKEN,
    exophone: tuple[str, ...] = ("08030000000",),
) -> int:
    """Serve a local Exotel for programs in any language, until Ctrl-C.

    Args:
        host: The address to listen on.
        port: The port; 0 takes any free one.
        speed: How many times as fast as yours its clock runs.
        rate: How many requests a minute it allows.
        window: How it counts them.
        seed: Draws what becomes of calls.
        account: The account SID.
        key: The API key.
        token: The API token.
        exophone: A number calls may be made from; give it again for more.
    """
    from exotel_async.cli.local import emulate  # noqa: PLC0415

    served = Emulator(
        host=host,
        port=port,
        speed=speed,
        rate=rate,
        window=window,
        seed=seed,
        account_sid=account,
        api_key=key,
        api_token=token,
        exophones=exophone,
    )
    return emulate(served, own_token=token != _TOKEN)
