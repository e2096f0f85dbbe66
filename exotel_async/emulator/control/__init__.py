"""What stands under `/_emulator/`: the emulator's own pages, out of band.

They count against no rate limit, meet no fault, and are not among the requests.
"""
