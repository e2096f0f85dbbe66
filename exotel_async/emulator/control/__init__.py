"""What is served under `/_emulator/`: the emulator's own pages, separate from the emulated API.

Their requests count against no rate limit, meet no fault, and are not recorded.
"""
