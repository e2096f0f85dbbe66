"""`exotel.calls`: the room NAME.py serves `exotel.calls.NAME`; rooms NAME_*.py are its parts."""
