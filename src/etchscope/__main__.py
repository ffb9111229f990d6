"""The command line as `python -m etchscope`."""

import sys

from etchscope.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
