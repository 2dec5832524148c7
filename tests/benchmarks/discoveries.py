"""Print how a search for words and pairs whose reviews err more fares on the 25,000 real test reviews.

    python -m tests.benchmarks.discoveries [MODEL]

Three figures: what it finds among the model's real errors; in how many of 20 tries it finds an invented word that was
planted into 60 reviews with an error rate of four times the others'; in how many of 200 draws it finds nothing once the
errors are shuffled. The last two must be 20, and 184 or more.
"""

import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.config import DataConfig
from core.data.sources import load_columns
from core.evaluation.discoveries import Mask, Terms, collect_terms, find_terms
from core.prediction.predictor import Predictor
from core.preprocessing.corpus import cut_corpus

TRIES, PLANTED, TIMES = 20, 60, 4
DRAWS = 200
WORD = "zorvex"


def main(reference: str) -> None:
    """Run the three searches with one model's verdicts."""
    test = load_columns(DataConfig())["test"]
    predictor = Predictor.load(reference)
    config = predictor.architecture.preprocessing
    wrong = (predictor.predict(test.texts).logits > 0) != (test.labels == 1)
    began = time.perf_counter()
    terms = collect_terms(cut_corpus(test.texts, config))
    collected = time.perf_counter()
    real = find_terms(terms, wrong)
    print(
        f"{wrong.sum():,} of {len(wrong):,} misread. Collected in {collected - began:.1f} s, tested "
        f"{real.words_tested:,} words and {real.pairs_tested:,} pairs in {time.perf_counter() - collected:.1f} s."
    )
    for term in real.found:
        print(f"  {term.name!r}: {term.lift.errors} of {term.lift.n} misread, x{term.lift.value:.1f}, q {term.q:.2g}")
    found = sum(
        WORD in {term.name for term in find_terms(collect_terms(cut_corpus(planted, config)), wrong).found}
        for planted in (plant(test.texts, wrong, seed) for seed in range(TRIES))
    )
    print(f"The planted word was found in {found} of {TRIES} tries.")
    clean = count_clean(terms, wrong)
    print(f"With shuffled errors nothing was found in {clean} of {DRAWS} draws.")


def plant(texts: pa.Array, wrong: Mask, seed: int) -> pa.Array:
    """Return the texts, the invented word in front of some whose error rate is ``TIMES`` that of all."""
    draw = np.random.default_rng(seed)
    errors = round(PLANTED * TIMES * float(wrong.mean()))
    rows = [
        draw.choice(np.flatnonzero(kind), size, replace=False)
        for kind, size in ((wrong, errors), (~wrong, PLANTED - errors))
    ]
    is_planted = np.zeros(len(wrong), np.bool_)
    is_planted[np.concatenate(rows)] = True
    separator = pa.scalar(" ", pa.large_string())
    with_word = pc.binary_join_element_wise(pa.scalar(WORD, pa.large_string()), texts, separator)
    return pc.if_else(pa.array(is_planted), with_word, texts)


def count_clean(terms: Terms, wrong: Mask) -> int:
    """Return in how many draws of shuffled errors nothing is found."""
    draw = np.random.default_rng(0)
    return sum(not find_terms(terms, draw.permutation(wrong)).found for _ in range(DRAWS))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "starter")
