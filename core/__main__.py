"""``python -m core``."""

import os
import time

STARTED = time.monotonic()
# How long a thread that waits for another spins before it sleeps; read when torch is first imported. With libgomp's own
# count `compact` trained 70 times slower beside two busy processes; to sleep at once cost 1.8 times on a free machine.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

if __name__ == "__main__":
    from core.cli import main

    main(STARTED)
