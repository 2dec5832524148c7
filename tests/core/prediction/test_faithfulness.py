import numpy as np
import pytest

from core.config import preset_config, with_data, with_settings
from core.data.sources import load_columns
from core.jobs import run_job
from core.prediction.explanation import Word
from core.prediction.faithfulness import measure_faithfulness, without_words
from core.prediction.predictor import Predictor
from core.runs import create_run
from tests.core.prediction.small_models import train_small
from tests.texts import invent_reviews

PRESETS = {"ngram": "fast", "bilstm": "compact", "bilstm_attention": "attention", "transformer": "transformer"}


def test_words_are_taken_out_where_they_stand() -> None:
    words = [Word(2, 5, True, True, 0.0), Word(0, 1, True, True, 0.0)]
    assert without_words("A bad, bad film", words) == "   , bad film"
    assert without_words("as it is", []) == "as it is"


@pytest.mark.parametrize("kind", ["bilstm", "bilstm_pieces", "ngram"])
def test_words_that_pushed_matter_more_than_random_ones(kind: str) -> None:
    texts = invent_reviews(60, seed=1).texts.to_pylist()
    found = measure_faithfulness(train_small(kind), texts, seed=0)
    assert found is not None and found.n == 60 and found.left_out == 0
    assert found.difference == pytest.approx(found.top - found.random)
    assert 0 < found.interval[0] < found.difference < found.interval[1]


def test_pushes_that_mean_nothing_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.prediction import faithfulness

    draw = np.random.default_rng(3)
    real = faithfulness.explain

    def shuffled(predictor: Predictor, text: str):
        found = real(predictor, text)
        return type(found)(tuple(draw.permutation(found.pushes)), found.base, found.missing)

    monkeypatch.setattr(faithfulness, "explain", shuffled)
    found = measure_faithfulness(train_small("ngram"), invent_reviews(100, seed=1).texts.to_pylist(), seed=0)
    assert found is not None and found.interval[0] < 0 < found.interval[1]


def test_texts_without_two_words_are_left_out_and_counted() -> None:
    model = train_small("ngram")
    found = measure_faithfulness(model, ["", "dull", *invent_reviews(3).texts.to_pylist()], seed=0)
    assert found is not None and (found.n, found.left_out) == (3, 2)
    assert measure_faithfulness(model, ["", "dull", "a dull plot"], seed=0) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", PRESETS)
def test_explanations_of_every_model_are_faithful_on_500_reviews_it_has_not_seen(kind: str) -> None:
    config = with_settings(with_data(preset_config(PRESETS[kind]), "demo"), ["training.epochs=2"])
    run = create_run(config, PRESETS[kind], None)
    run_job(run.path)
    assert run.state.status == "finished"
    texts = load_columns(config.data)["test"].texts
    rows = np.random.default_rng(0).choice(len(texts), 500, replace=False)
    found = measure_faithfulness(Predictor.load(run.model_file), [texts[int(row)].as_py() for row in rows], seed=0)
    assert found is not None and found.n >= 490
    assert found.interval[0] > 0, found
