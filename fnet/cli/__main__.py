"""`python -m fnet.cli`."""

import sys

from fnet.cli import main

sys.exit(main())
