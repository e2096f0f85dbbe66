"""Reads lists of people as operations teams have them: CSV, TSV and workbooks.

`tables.py` recognizes the format, `text_files.py` and `workbooks.py` read the rows, `finding.py`
finds the columns, `cells.py` parses the numbers, and `reading.py` turns rows into contacts.
Do-not-call lists are read by `number_lists.py`, which takes every number it finds, with
`number_columns.py` and `number_looks.py`. What may be a wrong number is rejected with a reason:
no number is dialled on a guess.
"""

from exotel_async.cli.contact_files.columns import AmbiguousColumn, Column
from exotel_async.cli.contact_files.contacts import ContactFile, open_contacts
from exotel_async.cli.contact_files.mapping import read_mapping, write_mapping
from exotel_async.cli.contact_files.number_lists import NumberList, read_numbers
from exotel_async.cli.contact_files.rejected import RejectedFile
from exotel_async.cli.contact_files.results import Rejected, Taken
from exotel_async.cli.contact_files.unreadable import Unreadable

__all__ = [
    "AmbiguousColumn",
    "Column",
    "ContactFile",
    "NumberList",
    "Rejected",
    "RejectedFile",
    "Taken",
    "Unreadable",
    "open_contacts",
    "read_mapping",
    "read_numbers",
    "write_mapping",
]
