"""``python -m core``."""

import os
import time

STARTED = time.monotonic()
# Threads that wait for each other sleep instead of spinning: beside other work, `fast` trained three times as quickly.
# Read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if __name__ == "__main__":
    from core.cli import main

    main(STARTED)
