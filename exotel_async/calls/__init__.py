"""`exotel.calls`: NAME.py serves `exotel.calls.NAME`, and the modules NAME_*.py are its parts."""
