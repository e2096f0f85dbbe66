"""The page at `/_emulator/`: the emulator's calls and traffic, and phones to be played by hand.

`routes.py` serves it from `templates/` and `static/`; the other modules turn what `Operations`
returns into plain values for the templates.
"""
