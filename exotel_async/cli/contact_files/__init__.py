"""Lists of people as an operations person has them: CSV, TSV and workbooks.

`tables.py` tells what a file is, `text_files.py` and `workbooks.py` make rows of it, `finding.py`
finds the columns, `cells.py` reads the numbers, and `reading.py` makes contacts of the rows. Of a
do-not-call list `number_lists.py` reads whatever is a number, with `number_columns.py` and
`number_looks.py`. Whatever may be a wrong number is rejected with a reason: nobody is rung by a
guess.
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
