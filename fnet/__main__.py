"""`python -m fnet`: the command line."""

import sys

from fnet.cli import main

sys.exit(main())
