"""The page at `/_emulator/`: what the emulator does and has seen, and phones to be played by hand.

`routes.py` serves it from `templates/` and `static/`; the other modules make plain values of what
`Operations` tells, for the templates to show.
"""
