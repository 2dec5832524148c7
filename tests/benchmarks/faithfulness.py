"""How faithful a run's explanations are, on the test split of its own data.

A tenth of each review's words is taken away, those that pushed most towards the verdict or as many drawn at random, and
the fall of the predicted class's probability is measured. Run it with

    python -m tests.benchmarks.faithfulness RUN [--reviews 500] [--seed 0]

where RUN is whatever ``reviewscope`` takes as a model. IMDB needs REVIEWSCOPE_DATA.
"""

import argparse
import time

import numpy as np
import torch

from core.data.sources import load_columns
from core.prediction.explanation import explain
from core.prediction.faithfulness import measure_faithfulness
from core.prediction.integrated_gradients import TOLERANCE
from core.prediction.predictor import Predictor
from core.runs import find_run


def main() -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--reviews", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    texts = load_columns(find_run(asked.run).settings.config.data)["test"].texts
    rows = np.random.default_rng(asked.seed).choice(len(texts), min(asked.reviews, len(texts)), replace=False)
    chosen = [texts[int(row)].as_py() for row in rows]
    predictor = Predictor.load(asked.run)
    torch.set_num_threads(1)  # as a job does
    explain(predictor, chosen[0])  # the first use of a library is not its speed
    seconds, missing = [], []
    for text in chosen:
        began = time.perf_counter()
        missing.append(abs(explain(predictor, text).missing))
        seconds.append(time.perf_counter() - began)
    print(f"{asked.run}, {len(chosen)} test reviews, seed {asked.seed}")
    print(f"explaining one: median {np.median(seconds):.3f} s, 95th percentile {np.percentile(seconds, 95):.3f} s")
    print(
        f"of the logit no word was given: 95th percentile {np.percentile(missing, 95):.4f}, most {max(missing):.3f}; "
        f"at most {TOLERANCE} in {100 * np.mean(np.array(missing) <= TOLERANCE):.1f} % of the reviews"
    )
    found = measure_faithfulness(predictor, chosen, asked.seed)
    assert found is not None
    low, high = found.interval
    print(f"fall without the words that pushed most: {found.top:.4f}; without random ones: {found.random:.4f}")
    print(f"difference {found.difference:.4f} [{low:.4f}, {high:.4f}], n = {found.n}, left out {found.left_out}")


if __name__ == "__main__":
    main()
