"""`exotel.calls`: NAME.py implements `exotel.calls.NAME`; the modules NAME_*.py are its parts."""
