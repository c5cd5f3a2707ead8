"""``python -m lc_otel``: arguments in, an exit code out."""

import sys

from lc_otel.cli import main

if __name__ == "__main__":
    sys.exit(main())
