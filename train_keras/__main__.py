"""`python -m train_keras`."""

import sys

from train_keras.cli import main

sys.exit(main())
