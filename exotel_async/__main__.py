"""`python -m exotel_async`, the same as `exotel-async`."""

import sys

from exotel_async.cli import main

sys.exit(main())
