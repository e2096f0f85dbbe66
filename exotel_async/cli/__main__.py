"""`python -m exotel_async.cli`, the same as `exotel-async`."""

import sys

from exotel_async.cli import main

sys.exit(main())
