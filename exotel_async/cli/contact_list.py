"""A list of people as a command takes it: opened, where in doubt by asking, and added."""

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
_MOST_KEYS: Final = 5


@frozen(kw_only=True)
class Added:
    """What became of the rows of a list.

    Attributes:
        taken: contacts that are new in the campaign.
        known: those that the campaign has already.
        keys_with_other_number: of those of them that have another number in the campaign.
        rejected: rows that were not taken because something is wrong with them.
        duplicates: rows that were not taken because they have the number, or the key, of an earlier
            one.
        rejected_file: where both kinds of rows are; None: there are none.
    """

    taken: int = 0
    known: int = 0
    keys_with_other_number: Sequence[str] = field(default=(), repr=False)
    rejected: int = 0
    duplicates: int = 0
    rejected_file: Path | None = None


def open_list(path: Path, *, mapping: Mapping[str, str], sheet: str | None) -> ContactFile:
    """Open a list. Where its columns leave a doubt, a person at a terminal is asked.

    Raises:
        Unreadable: it cannot be read, or a doubt is left.
    """
    try:
        contacts = open_contacts(path, mapping=mapping, sheet=sheet)
    except AmbiguousColumn as error:
        column = _ask(error) if can_ask() else None
        if column is None:
            raise
        is_shown = redact(one_line(column.name)) == column.name
        said = write_mapping("number", column.name if is_shown else column.letter)
        note(f"next time: --map {said}")
        contacts = open_contacts(path, mapping={**mapping, "number": column.name}, sheet=sheet)
    for remark in contacts.notes:
        note(one_line(remark))
    return contacts


def _ask(error: AmbiguousColumn) -> Column | None:
    """Ask which column it is; None: whoever was asked does not know."""
    most = len(error.candidates)
    note(f"{most} columns may have the numbers:")
    for number, column in enumerate(error.candidates, 1):
        samples = ", ".join(map(mask_number, column.samples[:3]))
        name = ", ".join(dict.fromkeys((column.name, f"column {column.letter}")))
        note(redact(one_line(f"{number}: {name}")) + f": {one_line(samples)}")
    while typed := ask(f"which one is to be dialled (1 to {most})? "):
        if typed.isdecimal() and 1 <= int(typed) <= most:
            return error.candidates[int(typed) - 1]
    return None


async def add_list(admin: CampaignAdmin, campaign: Campaign, contacts: ContactFile) -> Added:
    """Add the people of a list, whoever of them is new. The other rows go to a file beside it.

    Raises:
        InvalidRequest: the campaign was cancelled.
        Misuse: nobody of the list can be dialled.
        ExotelError: the ledger cannot be used, or the file of the other rows not be written.
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
                f"{one_line(contacts.path.name)}: what was added of it stays in {campaign.name}; "
                "the same command adds the rest"
            )
        raise
    if rejected.count and not result.added and not result.duplicates:
        rows = counted(rejected.count, "row")
        raise Misuse(f"{nobody(contacts)}: {rows} rejected, see {rejected.path}")
    added = Added(
        taken=result.added,
        known=result.duplicates,
        keys_with_other_number=result.keys_with_other_number,
        rejected=rejected.count - duplicates,
        duplicates=duplicates,
    )
    return evolve(added, rejected_file=rejected.path) if rejected.count else added


def nobody(contacts: ContactFile) -> str:
    """Say that a list has rows, and none of them can be dialled."""
    return f"no contact in {contacts.path.name} can be dialled"


def told(added: Added, contacts: ContactFile, campaign: str) -> Iterator[str]:
    """Say what became of the rows of a list, line by line."""
    name = contacts.path.name
    if added.known and not added.taken:
        yield f"{counted(added.known, 'contact')} of {name} in {campaign}, none of them new"
    else:
        verb = "was" if added.known == 1 else "were"
        known = f", {added.known:,} {verb} in it already" if added.known else ""
        yield f"{counted(added.taken, 'contact')} of {name} added to {campaign}{known}"
    if added.rejected_file is not None:
        parts = []
        if added.rejected:
            parts.append(f"{counted(added.rejected, 'row')} rejected")
        if added.duplicates:
            parts.append(counted(added.duplicates, "duplicate"))
        yield f"{' and '.join(parts)}: see {added.rejected_file}"


def warn_of_other_numbers(added: Added, contacts: ContactFile, campaign: str) -> None:
    """Say which numbers of the list are not dialled, as their contacts have others."""
    if not added.keys_with_other_number:
        return
    name, who = contacts.path.name, counted(len(added.keys_with_other_number), "contact")
    campaign, keys = one_line(campaign), first_keys(added.keys_with_other_number)
    note(
        f"{campaign} has another number than {one_line(name)} for {who}, and keeps it: {keys}. "
        f"To replace it, run `{FORGET}`, then the same command again"
    )


def first_keys(keys: Sequence[str]) -> str:
    """Name the first few keys, without what may be a phone number."""
    more = len(keys) - _MOST_KEYS
    shown = ", ".join(redact(one_line(key)) for key in keys[:_MOST_KEYS])
    word = "key" if len(keys) == 1 else "keys"
    return f"{word} {shown}" + (f" and {more:,} more" if more > 0 else "")
