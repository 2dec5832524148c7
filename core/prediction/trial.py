"""Load one model file under a memory limit and read one sentence: ``python -m core.prediction.trial FILE``."""

import resource
import sys
from pathlib import Path

from core.errors import ReviewscopeError
from core.prediction.exchange import REFUSED
from core.prediction.predictor import Predictor

MEMORY_BYTES = 8 * 2**30
SENTENCE = "A quiet film that earns every minute of its last act."


def main(path: Path) -> int:
    """Return 0 when the file holds a model that scores; else print one sentence and return ``REFUSED``."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        Predictor.load(path).predict([SENTENCE])
    except (ReviewscopeError, MemoryError) as error:
        print(str(error) or "The model needs more memory than an import may take.", file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
