"""The entry point of the command line: `earmark` and `python -m earmark`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it loads exits with 130, as it does later."""
    try:
        from earmark.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
