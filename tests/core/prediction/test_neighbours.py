from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.config import BiLSTMConfig, ModelConfig, NgramConfig, PreprocessingConfig, RunConfig
from core.data.labelled import LabelledTexts
from core.data.sources import choose_split
from core.evaluation.selection import Results
from core.job_folder import JobFolder, JobReporter
from core.models.catalog import build_model, fit_encoder
from core.models.model_file import Architecture, LoadedModel
from core.models.scoring import represent_texts
from core.prediction.analysis import Subject
from core.prediction.neighbours import NONE, SetCosines, find_nearest, lay_out, look, unit_rows
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array
from core.preprocessing.encoded import EncodedTexts
from tests.texts import invent_reviews

KINDS: list[ModelConfig] = [
    NgramConfig(bucket_bits=14, min_reviews=1),
    BiLSTMConfig(embedding_dim=12, hidden_size=10, num_layers=1),
]
every_kind = pytest.mark.parametrize("model_config", KINDS, ids=lambda config: config.kind)


@pytest.fixture
def reporter(tmp_path: Path) -> JobReporter:
    return JobReporter(JobFolder(tmp_path))


def make_subject(model_config: ModelConfig, split: str = "test", **data: float) -> Subject:
    config = RunConfig.model_validate(
        {
            "data": {"source": "demo", **data},
            "preprocessing": PreprocessingConfig(min_frequency=1),
            "model": model_config,
        }
    )
    reviews = invent_reviews(260)
    splits = {"train": reviews.take(np.arange(200)), "test": reviews.take(np.arange(200, 260))}
    splits["test"] = LabelledTexts(
        as_text_array(["", splits["train"].texts[7].as_py(), *splits["test"].texts.to_pylist()[2:]]),
        splits["test"].labels,
    )
    encoder = fit_encoder(splits["train"].texts, config)
    model = build_model(config, encoder)
    model.prepare(encoder.encode(splits["train"].texts), splits["train"].labels)
    if hasattr(model, "weight"):
        model.weight.data.fill_(1.0)
    architecture = Architecture(preprocessing=config.preprocessing, model=config.model)
    predictor = Predictor(LoadedModel(model, encoder, architecture, "0" * 64))
    rows = choose_split(splits, split, config)
    found = predictor.predict(rows.texts)
    results = Results(rows.labels, found.logits.astype(np.float64), found.probabilities)
    return Subject(predictor, rows, results, splits, split, config)


def as_sets(encoded: EncodedTexts, values: np.ndarray) -> np.ndarray:
    """Return one number an id for each text: the id's value where the text holds it."""
    rows = [encoded.take(np.array([row])).token_ids for row in range(len(encoded))]
    return np.stack([np.bincount(ids, minlength=len(values)) * values for ids in rows]).astype(np.float32)


@every_kind
def test_the_nearest_are_those_of_the_largest_cosine_in_order(model_config: ModelConfig, reporter: JobReporter) -> None:
    subject = make_subject(model_config)
    document, table = look(subject, {"train": True}, reporter)
    assert table is not None and table.num_rows == 60 and document["train"] == len(subject.train) == 180
    encode, model = subject.predictor.encoder.encode, subject.predictor.model
    vectors, trained = (
        unit_rows(represent_texts(model, encode(texts))) for texts in (subject.rows.texts, subject.train.texts)
    )
    if model.token_values is not None:  # to which a text is a set: by hand, one number an id
        values = model.token_values.detach().numpy()
        vectors, trained = (
            unit_rows(as_sets(encode(texts), values)) for texts in (subject.rows.texts, subject.train.texts)
        )
    cosines = vectors @ trained.T
    best = -np.sort(-cosines, axis=1)[:, :5]
    similarities = np.stack([table[f"similarity_{place}"].to_numpy() for place in range(1, 6)], axis=1)
    near = np.stack([table[f"near_{place}"].to_numpy() for place in range(1, 6)], axis=1)
    read = vectors.any(axis=1)
    if document["is_exact"]:
        assert np.allclose(similarities[read], best[read], atol=1e-5)
    else:
        assert (np.abs(similarities[read] - best[read]) < 1e-5).mean() > 0.95, "64 of 180 are compared exactly"
    assert np.allclose(np.take_along_axis(cosines, near, 1)[read], similarities[read], atol=1e-5)
    positive = subject.train.labels[near][read].sum(axis=1)
    assert table["near_positive"].to_numpy()[read].tolist() == positive.tolist()
    assert set(table["near"].to_numpy()[read].tolist()) == {5}


@every_kind
def test_a_text_that_stands_in_training_has_itself_as_nearest_and_is_counted(
    model_config: ModelConfig, reporter: JobReporter
) -> None:
    subject = make_subject(model_config, validation_fraction=0.0)
    document, table = look(subject, {"train": True}, reporter)
    assert table is not None
    assert table["similarity_1"][1].as_py() == pytest.approx(1, abs=1e-5)
    texts = subject.train.texts.to_pylist()
    assert texts[table["near_1"][1].as_py()] == texts[7]
    copies = sum(text in set(texts) for text in subject.rows.texts.to_pylist())
    assert document["same_text"] == copies >= 1


def test_a_text_without_a_known_word_has_no_neighbour(reporter: JobReporter) -> None:
    _, table = look(make_subject(KINDS[0]), {"train": True}, reporter)
    assert table is not None
    first = table.slice(0, 1).to_pylist()[0]
    assert [first[f"near_{place}"] for place in range(1, 6)] == [NONE] * 5
    assert [first[f"similarity_{place}"] for place in range(1, 6)] == [0.0] * 5 and first["near"] == 0


@every_kind
def test_a_training_review_is_no_neighbour_of_itself(model_config: ModelConfig, reporter: JobReporter) -> None:
    document, table = look(make_subject(model_config, "train"), {"train": True}, reporter)
    assert table is not None and "same_text" not in document
    for place in range(1, 6):
        assert (table[f"near_{place}"].to_numpy() != np.arange(180)).all()


@every_kind
def test_only_reviews_that_a_limited_run_is_trained_on_are_neighbours(
    model_config: ModelConfig, reporter: JobReporter
) -> None:
    subject = make_subject(model_config, "train", limit=20)
    document, table = look(subject, {"train": True}, reporter)
    assert table is not None and document["train"] == 20
    near = {row for place in range(1, 6) for row in table[f"near_{place}"].to_pylist()}
    assert len(near - {NONE}) <= 20 and max(near) < 180


@every_kind
def test_without_training_reviews_the_map_is_there_all_the_same_and_the_same_again(
    model_config: ModelConfig, reporter: JobReporter
) -> None:
    subject = make_subject(model_config)
    document, table = look(subject, {"train": False}, reporter)
    again = look(subject, {}, reporter)
    assert table is not None and table.column_names == ["x", "y"] and document["train"] is None
    assert table["x"].to_numpy().tolist() == subject.results.logits.astype(np.float32).tolist()
    assert np.isfinite(table["y"].to_numpy()).all() and 0 < document["share"] <= 1
    assert again.document == document and again.table is not None and again.table.equals(table)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_handful_of_reviews_is_laid_out_too(n: int) -> None:
    draw = np.random.default_rng(0)
    places, share = lay_out(draw.normal(size=(n, 4)).astype(np.float32), draw.normal(size=n))
    assert places.shape == (n,) and not places.any() and share is None, "nothing is left beside the logit"


def test_the_second_axis_is_the_first_principal_component_of_what_the_logit_does_not_foretell() -> None:
    draw = np.random.default_rng(0)
    logits, hidden = draw.normal(size=400), draw.normal(size=400)
    directions = np.linalg.qr(draw.normal(size=(8, 2)))[0]
    vectors = 5 * np.outer(logits, directions[:, 0]) + np.outer(hidden, directions[:, 1])
    vectors += 0.1 * draw.normal(size=(400, 8))
    places, share = lay_out(vectors.astype(np.float32), logits)
    assert abs(np.corrcoef(places, hidden)[0, 1]) > 0.98 and abs(np.corrcoef(places, logits)[0, 1]) < 1e-4
    assert places.std() == pytest.approx(1, abs=1e-3) and share is not None and share > 0.9
    left = vectors - vectors.mean(0)
    line = logits - logits.mean()
    left -= np.outer(line, line @ left / (line @ line))
    first = np.linalg.svd(left, full_matrices=False)
    assert share == pytest.approx(first[1][0] ** 2 / (first[1] ** 2).sum(), rel=1e-4)
    axis = first[2][0] * np.sign(first[2][0][np.argmax(np.abs(first[2][0]))])
    assert np.allclose(places, left @ axis / (left @ axis).std(), atol=1e-3), "and its sign is settled"


def test_equally_near_reviews_come_in_the_order_of_the_data(reporter: JobReporter) -> None:
    trained = np.eye(3, dtype=np.float32)[[2, 1, 0, 1, 1, 1, 1, 1]]
    found = find_nearest(np.eye(3, dtype=np.float32)[[1]], trained, None, None, reporter)
    assert found.rows.tolist() == [[1, 3, 4, 5, 6]]
    few = find_nearest(np.eye(3, dtype=np.float32)[[1]], trained[:2], None, None, reporter)
    assert few.rows.tolist() == [[1, 0, NONE, NONE, NONE]] and few.similarities.tolist() == [[1, 0, 0, 0, 0]]


def test_exact_cosines_are_those_of_weighted_sets() -> None:
    values = np.array([0.0, 1.0, 2.0, -2.0], np.float32)
    here = EncodedTexts(np.array([1, 2], np.int32), np.array([0, 2]))
    others = EncodedTexts(np.array([1, 2, 2, 3], np.int32), np.array([0, 2, 4, 4]))
    cosines = SetCosines(here, others, values).compare(0, np.array([0, 1, 2]))
    # (1, 2, 0) with (1, 2, 0), (0, 2, -2) and (0, 0, 0)
    assert np.allclose(cosines, [1.0, 4 / (5 * 8) ** 0.5, 0.0])


def test_no_text_is_kept(reporter: JobReporter) -> None:
    _, table = look(make_subject(KINDS[0]), {"train": True}, reporter)
    assert table is not None
    assert not any(pa.types.is_string(field.type) or pa.types.is_large_string(field.type) for field in table.schema)
