"""`campaign forget`: deletes a person from all campaigns."""

from __future__ import annotations

from exotel_async import InvalidRequest
from exotel_async.cli.asking import confirmed
from exotel_async.cli.campaign_ledger import OpenLedger
from exotel_async.cli.campaign_screen import show_text, shown_numbers
from exotel_async.cli.service import Misuse
from exotel_async.cli.terminal import Exit, counted, report_problem, show_json
from exotel_async.phone import normalize_party

_LIST = (
    "The do-not-call list is not changed. "
    "If a list that still has this person is added again, the person is dialled again."
)


def forget(
    ledger: OpenLedger, number: str | None, key: str | None, *, yes: bool, as_json: bool
) -> Exit:
    """Delete a person's contacts and attempts, after a confirmation.

    Args:
        ledger: the ledger to delete from.
        number: the person's number; None: there is a key.
        key: the person's key; None: there is a number.
        yes: whether it is confirmed already.
        as_json: whether to print the number of deleted contacts as JSON.

    Raises:
        InvalidRequest: `number` is not a phone number.
        Misuse: not exactly one of number and key is given, or there is no terminal to ask at.
    """
    masked = shown_numbers(whole=False)
    if (number is None) == (key is None):
        raise Misuse("give either a NUMBER or --key")
    if number is not None:
        sent, whom = normalize_party(number, "number"), masked(number)
    elif key:
        sent, whom = key, f"the key {masked(key)}"
    else:
        raise Misuse("--key must not be empty")
    question = (
        f"Delete {whom} from all campaigns of this ledger, with all calls and outcomes? {_LIST} "
        "This cannot be undone."
    )
    if not confirmed(question, yes=yes):
        report_problem(
            "not confirmed: nothing was deleted", kind=InvalidRequest.__name__, as_json=as_json
        )
        return Exit.FAILED
    try:
        deleted: int = ledger.do(
            ledger.admin.forget(sent) if number is not None else ledger.ledger.forget(sent)
        )
    except InvalidRequest as error:
        problem = f"{whom} {error.rule}; nothing was deleted"
        report_problem(problem, kind=type(error).__name__, as_json=as_json)
        return Exit.FAILED
    if as_json:
        show_json({"deleted": deleted})
    elif deleted:
        show_text(f"{counted(deleted, 'contact')} deleted, with all calls and outcomes. {_LIST}")
    else:
        show_text(f"No campaign of this ledger has {whom}: nothing was deleted. {_LIST}")
    return Exit.OK
