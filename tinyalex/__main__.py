"""`python -m tinyalex` is the command `tinyalex`."""

import sys

from tinyalex.cli import main

sys.exit(main())
