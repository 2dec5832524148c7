"""``python -m tests.benchmarks.one_review``: the time of one review of 230 words, in process and on the page.

In process a review is a call of ``Predictor.predict``, with the shipped n-gram model and with an untrained network of
the preset ``classic``, whose time does not depend on what it has learnt; torch has one thread, as in the server. On the
page it is a whole rerun in Streamlit's test runner, each with a text that was not read before: once with one model, and
once with a second one beside it.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from core import settings
from core.config import preset_config
from core.data.demo import generate_reviews
from core.models.catalog import build_model, fit_encoder
from core.models.model_file import Architecture, LoadedModel
from core.prediction.predictor import Predictor
from core.runs import copy_file
from dashboard.review_history import MOST_TEXTS
from tests.benchmarks.runs_page import write_run

ROOT = Path(__file__).resolve().parents[2]
WORDS, REPEATS, WARM_UPS, RERUNS = 230, 200, 10, 30
LIMITS_MS = {"ngram": 5.0, "classic": 100.0, "page, one model": 50.0}


def main() -> None:
    """Print p50 and p95 of each; end with 1 when one is over its limit."""
    torch.set_num_threads(1)
    texts = make_texts(REPEATS + WARM_UPS)
    found = {
        "ngram": measure(Predictor.load(settings.STARTER_FILE), texts),
        "classic": measure(untrained_classic(), texts),
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ[settings.HOME_VARIABLE] = folder
        copy_file(settings.STARTER_FILE, write_run(1, "twin").model_file)
        found |= measure_page(texts)
    is_missed = False
    for name, milliseconds in found.items():
        limit = LIMITS_MS.get(name)
        verdict = "" if limit is None else f"; limit {limit:g} ms {'kept' if milliseconds[1] <= limit else 'missed'}"
        is_missed |= limit is not None and milliseconds[1] > limit
        print(f"{name}: p50 {milliseconds[0]:.1f} ms, p95 {milliseconds[1]:.1f} ms{verdict}")
    sys.exit(is_missed)


def make_texts(count: int) -> list[str]:
    """Return reviews of ``WORDS`` words each, no two alike, of the demo corpus's sentences."""
    words = " ".join(review.text for review in generate_reviews()["train"]).split()
    chance = random.Random(0)
    return [" ".join(words[start : start + WORDS]) for start in chance.sample(range(len(words) - WORDS), count)]


def untrained_classic() -> Predictor:
    """Return a network of the preset ``classic`` that has learnt nothing."""
    config = preset_config("classic")
    encoder = fit_encoder(pa.array(make_texts(200), pa.large_string()), config)
    model = build_model(config, encoder)
    architecture = Architecture(preprocessing=config.preprocessing, model=config.model)
    return Predictor(LoadedModel(model, encoder, architecture, "0" * 64))


def measure(predictor: Predictor, texts: list[str]) -> tuple[float, float]:
    """Return p50 and p95 of reading one text, in milliseconds."""
    return percentiles(time_each(lambda text: predictor.predict([text]), texts, WARM_UPS))


def measure_page(texts: list[str]) -> dict[str, tuple[float, float]]:
    """Return p50 and p95 of a rerun of the page with one model and with two, in milliseconds; the history is full."""
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120).run()
    page.switch_page(str(ROOT / "pages" / "prediction.py")).run()

    def read(text: str) -> None:
        page.text_area[0].set_value(text).run()
        assert not page.exception

    first, second = texts[: MOST_TEXTS + RERUNS], texts[MOST_TEXTS + RERUNS : 2 * (MOST_TEXTS + RERUNS)]
    found = {"page, one model": percentiles(time_each(read, first, MOST_TEXTS))}
    next(each for each in page.selectbox if each.label == "Compare with").set_value("twin").run()
    return found | {"page, two models": percentiles(time_each(read, second, MOST_TEXTS))}


def time_each(act: Callable[[str], object], texts: Iterable[str], warm_ups: int) -> list[float]:
    """Return the seconds that each text takes, the first ones not counted."""
    seconds = []
    for text in texts:
        began = time.perf_counter()
        act(text)
        seconds.append(time.perf_counter() - began)
    return seconds[warm_ups:]


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """Return p50 and p95 in milliseconds."""
    low, high = 1_000 * np.percentile(seconds, [50, 95])
    return float(low), float(high)


if __name__ == "__main__":
    main()
