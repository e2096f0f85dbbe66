"""`campaign resolve`: asks a person to decide what became of unresolved contacts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final

from attrs import Factory, define, field, frozen

from exotel_async import AsyncExotel, ExotelError, InvalidRequest, NotFound
from exotel_async.campaigns import CampaignState, ContactOutcome, ContactState, Dialer
from exotel_async.cli import campaign_candidates
from exotel_async.cli.asking import ask, can_ask
from exotel_async.cli.campaign_candidates import (
    Candidate,
    candidates,
    contact_lines,
    unresolved,
    was_placed,
)
from exotel_async.cli.campaign_ledger import OpenLedger
from exotel_async.cli.campaign_screen import show_pairs, show_text, shown_numbers
from exotel_async.cli.campaign_states import how_to_continue
from exotel_async.cli.campaign_words import plain
from exotel_async.cli.service import Misuse, Service, kind_of
from exotel_async.cli.shared_limiter import reporting_outages
from exotel_async.cli.terminal import (
    Exit,
    counted,
    one_line,
    out,
    report_problem,
    say,
    show_json,
    waiting,
)
from exotel_async.masking import masked

_ARGUMENTS: Final = {"sid": "--call", "key": "--key"}
_AGAIN: Final = (ContactState.READY, ContactState.WAITING)
_STOP: Final = "q"


@frozen(kw_only=True)
class ResolveArguments:
    """What is resolved, and how.

    Attributes:
        name: the campaign.
        key: the one contact to resolve, by `call` or `not_placed`; None: a person is asked.
        call: the SID of the contact's call.
        not_placed: whether no call was placed for the contact.
        whole: whether to print all digits of numbers.
        as_json: whether to print JSON, and ask nothing.
        service: the Exotel service that the calls are read from.
    """

    name: str
    key: str | None = field(repr=masked)
    call: str | None
    not_placed: bool
    whole: bool
    as_json: bool
    service: Service

    def check(self) -> None:
        """Check that the options fit together.

        Raises:
            Misuse: they do not.
        """
        if (self.key is None) != (self.call is None and not self.not_placed):
            raise Misuse("give --key together with --call or --not-placed")
        if self.call is not None and self.not_placed:
            raise Misuse(
                "--call says which call was placed, --not-placed that none was: give only one"
            )


def resolve(ledger: OpenLedger, arguments: ResolveArguments) -> Exit:
    """Resolve one contact, or ask about each, or list them where there is no terminal to ask at.

    Returns:
        `Exit.OK` if no contact is left unresolved, or the one contact asked for was resolved.

    Raises:
        Misuse: the options do not fit together.
        InvalidRequest: there is no such campaign.
        ConfigurationError: the credentials are missing.
    """
    arguments.check()
    ledger.entry(arguments.name)
    asking = can_ask() and out.is_terminal and not arguments.as_json
    found: list[ContactOutcome] = []
    if arguments.key is None:
        found = ledger.do(unresolved(ledger.admin, arguments.name))
        if not found:
            if not arguments.as_json:
                show_text(f"No contact of {one_line(arguments.name)} is unresolved.")
            return Exit.OK
    with _session(ledger, arguments.service) as exotel:
        run = _Run(ledger, arguments, exotel, Dialer(exotel, ledger.ledger), len(found))
        try:
            if arguments.key is not None:
                return run.resolve_one(arguments.key)
            if asking:
                return run.walk(found)
            return run.list_all(found)
        except ExotelError as error:
            return arguments.service.failed(error, as_json=arguments.as_json)


@contextmanager
def _session(ledger: OpenLedger, service: Service) -> Iterator[AsyncExotel]:
    stack = AsyncExitStack()
    try:
        yield ledger.do(stack.enter_async_context(service.session()))
    finally:
        ledger.do(stack.aclose())


@define(eq=False)
class _Run:
    """One run of the command, with the counts for its summary."""

    ledger: OpenLedger
    arguments: ResolveArguments
    exotel: AsyncExotel
    dialer: Dialer
    total: int
    """Contacts that were unresolved at the beginning."""
    resolved: Counter[ContactState] = Factory(Counter)
    gone: int = 0
    """Contacts that were resolved or deleted elsewhere meanwhile."""

    @property
    def left(self) -> int:
        """Contacts that are still unresolved."""
        return self.total - self.gone - self.resolved.total()

    def resolve_one(self, key: str) -> Exit:
        """Resolve one contact, as the options say."""
        try:
            outcome = self._resolve(key, self.arguments.call)
        except (InvalidRequest, NotFound) as error:
            problem = self.arguments.service.explain(error, arguments=_ARGUMENTS)
            if isinstance(error, NotFound):
                problem = f"--call {one_line(str(self.arguments.call))}: no such call"
            report_problem(problem, kind=kind_of(error), as_json=self.arguments.as_json)
            return Exit.FAILED
        if self.arguments.as_json:
            show_json(outcome.to_dict())
        else:
            show_text(_now(outcome))
            if outcome.state in _AGAIN:
                self._say_how_to_continue()
        return Exit.OK

    def list_all(self, found: Sequence[ContactOutcome]) -> Exit:
        """Print the contacts with their candidates, and change nothing."""
        for place, outcome in enumerate(found, 1):
            theirs = self._candidates(outcome)
            if self.arguments.as_json:
                show_json(campaign_candidates.as_json(outcome, theirs))
            else:
                self._show(place, outcome, theirs)
        return Exit.NOT_COMPLETED

    def walk(self, found: Sequence[ContactOutcome]) -> Exit:
        """Ask about each contact, and resolve it as answered."""
        try:
            for place, outcome in enumerate(found, 1):
                theirs = self._candidates(outcome)
                self._show(place, outcome, theirs)
                if not self._asked(outcome, theirs):
                    break
        finally:
            self._sum_up()
        return Exit.NOT_COMPLETED if self.left else Exit.OK

    def _asked(self, outcome: ContactOutcome, theirs: Sequence[Candidate]) -> bool:
        """Ask until there is a valid answer. Return whether to continue with the next contact."""
        numbers = {str(place): one for place, one in enumerate(theirs, 1) if one.can_be_chosen}
        key = outcome.contact.key or outcome.contact.number
        answers = [*numbers, *([] if was_placed(outcome) else ["n"]), "s", _STOP]
        self._show_answers(answers, numbers)
        while True:
            typed = ask(f"{', '.join(answers[:-1])} or {answers[-1]}? ")
            answer = _STOP if typed is None else typed.lower()
            if answer in {"s", _STOP}:
                return answer != _STOP
            if answer not in answers:
                continue
            try:
                sid = None if answer == "n" else numbers[answer].sid
                now = self._resolve(key, sid)
            except InvalidRequest as error:
                if error.argument == "sid":
                    show_text(f"That call {error.rule}.")
                    continue
                show_text(f"Its key {error.rule}.")
                self.gone += 1
                return True
            self.resolved[now.state] += 1
            show_text(_now(now))
            return True

    def _show(self, place: int, outcome: ContactOutcome, theirs: Sequence[Candidate]) -> None:
        shown = shown_numbers(whole=self.arguments.whole)
        out.print()
        say(f"{place} of {self.total}")
        show_pairs(contact_lines(outcome, whole=self.arguments.whole))
        if not theirs:
            say("No call was found that may be the contact's.")
        elif theirs[0].is_own:
            say("Exotel accepted this call:")
        elif len(theirs) == 1:
            say("This call may be the contact's:")
        else:
            say("These calls may be the contact's:")
        for number, candidate in enumerate(theirs, 1):
            mark = f"{number:>3}  "
            for line in candidate.lines(shown):
                say(mark + line)
                mark = " " * len(mark)

    def _show_answers(self, answers: Container[str], numbers: Mapping[str, Candidate]) -> None:
        entry = self.ledger.entry(self.arguments.name)
        is_over = entry.state is CampaignState.CANCELED
        again = "it is cancelled, like its campaign" if is_over else "it will be dialled again"
        out.print()
        what = "that was the contact's call: its outcome counts"
        # Only the contact's own call can be chosen without its end being known.
        if not all(one.is_over for one in numbers.values()):
            what = "its end is not known: it counts as reached, and is not dialled again"
        shown = [(", ".join(numbers), what)] if numbers else []
        shown += [("n", f"no call was placed: {again}")] if "n" in answers else []
        show_pairs([*shown, ("s", "leave it unresolved"), (_STOP, "stop here")])

    def _sum_up(self) -> None:
        done = self.resolved.total()
        ends = Counter(_word(state) for state in self.resolved.elements())
        how = ", ".join(f"{number} {word}" for word, number in ends.items())
        out.print()
        show_text(
            f"{counted(done, 'contact')} resolved{f': {how}' if how else ''}; "
            f"{self.left} left unresolved."
        )
        if any(self.resolved[state] for state in _AGAIN):
            self._say_how_to_continue()

    def _say_how_to_continue(self) -> None:
        show_text(how_to_continue(self.ledger, self.ledger.entry(self.arguments.name)))

    def _candidates(self, outcome: ContactOutcome) -> list[Candidate]:
        found: list[Candidate] = self._do(candidates(self.exotel, outcome, self.dialer.now()))
        return found

    def _resolve(self, key: str, sid: str | None) -> ContactOutcome:
        outcome: ContactOutcome = self._do(self.dialer.resolve(self.arguments.name, key, sid=sid))
        return outcome

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        async def tell() -> Any:
            async with reporting_outages(self.exotel):
                return await work

        with waiting():
            return self.ledger.do(tell())


def _word(state: ContactState) -> str:
    return "to be dialled again" if state in _AGAIN else plain(state)


def _now(outcome: ContactOutcome) -> str:
    if outcome.state is ContactState.WAITING:
        return "It will be dialled again when its retry is due."
    if outcome.state is ContactState.READY:
        return "It will be dialled again."
    reason = f" ({outcome.reason})" if outcome.reason else ""
    return f"It now counts as {_word(outcome.state)}{reason}."
