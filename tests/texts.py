"""Invented reviews that tests train on."""

import numpy as np
import pyarrow as pa

from core.data.labelled import LabelledTexts

GOOD = ("superb", "tender", "funny", "gripping", "lovely", "brilliant")
BAD = ("dull", "clumsy", "tedious", "awful", "limp", "dreary")
THINGS = ("plot", "cast", "music", "ending", "camera work", "dialogue", "pace")


def invent_reviews(count: int, seed: int = 0) -> LabelledTexts:
    """Return ``count`` short reviews, every second one positive; a simple model can learn them."""
    draw = np.random.default_rng(seed)
    texts = []
    for row in range(count):
        words = GOOD if row % 2 else BAD
        sentences = [
            f"The {draw.choice(THINGS)} is {draw.choice(words)} and the {draw.choice(THINGS)} is {draw.choice(words)}!"
            for _ in range(int(draw.integers(1, 9)))
        ]
        texts.append(" ".join(sentences))
    return LabelledTexts(pa.array(texts, pa.large_string()), np.arange(count, dtype=np.int64) % 2)
