"""``python -m core``."""

import time

STARTED = time.monotonic()

if __name__ == "__main__":
    from core.cli import main

    main(STARTED)
