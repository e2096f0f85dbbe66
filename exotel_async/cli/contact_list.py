"""Opens a list of people for a command, with a question if in doubt, and adds the people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from exotel_async import ExotelError, InvalidRequest
from exotel_async.cli.asking import ask, can_ask
from exotel_async.cli.contact_files import (
    AmbiguousColumn,
    Rejected,
    RejectedFile,
    open_contacts,
    write_mapping,
)
from exotel_async.cli.service import Misuse
from exotel_async.cli.terminal import counted, note, one_line
from exotel_async.masking import mask_number, redact

if TYPE_CHECKING:
    from exotel_async.campaigns import Campaign, CampaignAdmin, Contact
    from exotel_async.cli.contact_files import Column, ContactFile

FORGET: Final = "exotel-async campaign forget --key KEY"
_MAX_KEYS: Final = 5


@frozen(kw_only=True)
class Added:
    """The result of adding the rows of a list.

    Attributes:
        taken: contacts that are new in the campaign.
        known: contacts that the campaign has already.
        keys_with_other_number: the keys of known contacts with another number in the campaign.
        rejected: rows that were not taken because something is wrong with them.
        duplicates: rows that were not taken because they have the number, or the key, of an earlier
            one.
        rejected_file: the file with the rows of both kinds; None: there are none.
    """

    taken: int = 0
    known: int = 0
    keys_with_other_number: Sequence[str] = field(default=(), repr=False)
    rejected: int = 0
    duplicates: int = 0
    rejected_file: Path | None = None


def open_list(path: Path, *, mapping: Mapping[str, str], sheet: str | None) -> ContactFile:
    """Open a list. If its number column is ambiguous, a person at a terminal is asked.

    Raises:
        Unreadable: it cannot be read, or the column remains ambiguous.
    """
    try:
        contacts = open_contacts(path, mapping=mapping, sheet=sheet)
    except AmbiguousColumn as error:
        column = _ask(error) if can_ask() else None
        if column is None:
            raise
        is_shown = redact(one_line(column.name)) == column.name
        pair = write_mapping("number", column.name if is_shown else column.letter)
        note(f"next time: --map {pair}")
        contacts = open_contacts(path, mapping={**mapping, "number": column.name}, sheet=sheet)
    for remark in contacts.notes:
        note(one_line(remark))
    return contacts


def _ask(error: AmbiguousColumn) -> Column | None:
    """Ask which column holds the numbers; None: there was no answer."""
    most = len(error.candidates)
    note(f"{most} columns may contain the numbers:")
    for number, column in enumerate(error.candidates, 1):
        samples = ", ".join(map(mask_number, column.samples[:3]))
        name = ", ".join(dict.fromkeys((column.name, f"column {column.letter}")))
        note(redact(one_line(f"{number}: {name}")) + f": {one_line(samples)}")
    while typed := ask(f"which one should be dialled (1 to {most})? "):
        if typed.isdecimal() and 1 <= int(typed) <= most:
            return error.candidates[int(typed) - 1]
    return None


async def add_list(admin: CampaignAdmin, campaign: Campaign, contacts: ContactFile) -> Added:
    """Add the people of a list who are new. Rejected rows are written to a file beside it.

    Raises:
        InvalidRequest: the campaign was cancelled.
        Misuse: no contact of the list can be dialled.
        ExotelError: the ledger cannot be used, or the file of rejected rows cannot be written.
    """
    duplicates, any_given, rejected = 0, False, RejectedFile(contacts.path)

    def people() -> Iterator[Contact]:
        nonlocal duplicates, any_given
        for row in contacts.read(campaign):
            if isinstance(row, Rejected):
                duplicates += row.is_duplicate
                rejected.add(row)
            else:
                any_given = True
                yield row.contact

    try:
        with rejected:
            result = await admin.add(campaign.name, people())
    except ExotelError as error:
        if any_given and not isinstance(error, InvalidRequest):
            note(
                f"{one_line(contacts.path.name)}: the contacts added so far stay in "
                f"{campaign.name}; run the same command again to add the rest"
            )
        raise
    if rejected.count and not result.added and not result.duplicates:
        rows = counted(rejected.count, "row")
        raise Misuse(f"{no_contact_text(contacts)}: {rows} rejected, see {rejected.path}")
    added = Added(
        taken=result.added,
        known=result.duplicates,
        keys_with_other_number=result.keys_with_other_number,
        rejected=rejected.count - duplicates,
        duplicates=duplicates,
    )
    return evolve(added, rejected_file=rejected.path) if rejected.count else added


def no_contact_text(contacts: ContactFile) -> str:
    """Return the text for a list whose rows were all rejected."""
    return f"no contact in {contacts.path.name} can be dialled"


def added_lines(added: Added, contacts: ContactFile, campaign: str) -> Iterator[str]:
    """Yield lines that report what was added from a list, and what was not."""
    name = contacts.path.name
    if added.known and not added.taken:
        yield f"{counted(added.known, 'contact')} of {name} in {campaign}, none of them new"
    else:
        verb = "was" if added.known == 1 else "were"
        known = f", {added.known:,} {verb} already in it" if added.known else ""
        yield f"{counted(added.taken, 'contact')} of {name} added to {campaign}{known}"
    if added.rejected_file is not None:
        parts = []
        if added.rejected:
            parts.append(f"{counted(added.rejected, 'row')} rejected")
        if added.duplicates:
            parts.append(counted(added.duplicates, "duplicate"))
        yield f"{' and '.join(parts)}: see {added.rejected_file}"


def warn_of_other_numbers(added: Added, contacts: ContactFile, campaign: str) -> None:
    """Warn of contacts that keep another number in the campaign than the list has."""
    if not added.keys_with_other_number:
        return
    name, who = contacts.path.name, counted(len(added.keys_with_other_number), "contact")
    campaign, keys = one_line(campaign), first_keys(added.keys_with_other_number)
    note(
        f"{campaign} has another number than {one_line(name)} for {who}, and keeps it: {keys}. "
        f"To replace it, run `{FORGET}`, then the same command again"
    )


def first_keys(keys: Sequence[str]) -> str:
    """Return a text that names the first few keys; what may be a phone number is masked."""
    more = len(keys) - _MAX_KEYS
    shown = ", ".join(redact(one_line(key)) for key in keys[:_MAX_KEYS])
    word = "key" if len(keys) == 1 else "keys"
    return f"{word} {shown}" + (f" and {more:,} more" if more > 0 else "")
