import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from core.config import DocumentVectorsConfig
from core.errors import ModelFileError
from core.models.catalog import build_model, fit_encoder
from core.models.document_vectors import (
    NEGATIVES,
    PRIOR,
    DocumentVectors,
    Landscape,
    climb,
    curvature,
    guess,
    precondition,
    slope,
)
from core.models.model_file import Architecture, load_model_file, save_model
from core.models.scoring import score_texts
from core.preprocessing.encoded import EncodedTexts
from core.tensor_file import read_tensor_file
from tests.core.models.small import SMALL
from tests.texts import invent_reviews

N_IDS, WIDTH, ABSENT = 201, 20, 60


def make_landscape(seed: int = 0, count: int = ABSENT, width: int = 6, size: float = 1.5) -> Landscape:
    draw = torch.Generator().manual_seed(seed)
    absent = size * torch.randn(count, width, generator=draw)
    shares = torch.rand(count, generator=draw)
    shares /= shares.sum()
    return Landscape(absent, shares, precondition(absent, shares))


def height(vector: Tensor, present: Tensor, weights: Tensor, landscape: Landscape) -> Tensor:
    """Return the function of one text, written down as it is defined."""
    own = (weights * functional.logsigmoid(present @ vector)).sum()
    absent = (landscape.shares * functional.logsigmoid(-landscape.absent @ vector)).sum()
    return own + NEGATIVES * absent - PRIOR / 2 * vector.square().sum()


def make_model(seed: int = 0) -> DocumentVectors:
    """Return a model with random tables, in which every other id has a vector."""
    draw = torch.Generator().manual_seed(seed)
    model = DocumentVectors(DocumentVectorsConfig(width=WIDTH, ngrams=100), N_IDS)
    landscape = make_landscape(seed, len(model.absent), WIDTH)
    chosen = np.zeros(N_IDS, np.float32)
    chosen[1::2] = 1
    tables = {
        "chosen": chosen,
        "emphasis": torch.rand(100, generator=draw).numpy(),
        "outputs": torch.randn(100, WIDTH, generator=draw).numpy(),
        "absent": landscape.absent.numpy(),
        "shares": landscape.shares.numpy(),
        "preconditioner": landscape.preconditioner.numpy(),
    }
    model.start_from(tables)
    torch.nn.init.normal_(model.fc.weight, generator=draw)
    return model.eval()


def draw_texts(lengths: list[int], seed: int = 0) -> EncodedTexts:
    draw = np.random.default_rng(seed)
    ids = [np.sort(draw.choice(np.arange(1, N_IDS), length, replace=False)) for length in lengths]
    return EncodedTexts(np.concatenate(ids).astype(np.int32), np.concatenate([[0], np.cumsum(lengths)]))


def test_the_slope_is_the_one_worked_out_by_hand() -> None:
    present, weights = torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1)
    landscape = Landscape(torch.tensor([[0.0, 1.0]]), torch.ones(1), torch.eye(2))
    for vector, expected in (
        ([0.0, 0.0], [0.5, -5 * 0.5]),
        ([math.log(3), -math.log(3)], [0.25 - 0.06 * math.log(3), -5 * 0.25 + 0.06 * math.log(3)]),
    ):
        place = climb(present, weights, landscape, torch.tensor([vector]), steps=0)
        assert slope(place, guess(place), present, weights, landscape)[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_the_slope_is_that_of_the_function() -> None:
    landscape, draw = make_landscape(), torch.Generator().manual_seed(1)
    present, weights = torch.randn(1, 9, 6, generator=draw), torch.full((1, 9), 1 / 9)
    vector = torch.randn(6, generator=draw).requires_grad_()
    height(vector, present[0], weights[0], landscape).backward()
    place = climb(present, weights, landscape, vector.detach()[None], steps=0)
    assert torch.allclose(slope(place, guess(place), present, weights, landscape)[0], vector.grad, atol=1e-5)


@pytest.mark.parametrize("touch", [-4.0, -0.5, 0.0, 2.0, 8.0])
def test_a_parabola_of_that_curvature_touches_the_logarithm_and_lies_under_it(touch: float) -> None:
    points = torch.linspace(-20, 20, 4_001, dtype=torch.float64)
    at = torch.tensor(touch, dtype=torch.float64)
    rise, rise_to = torch.sigmoid(-at), torch.sigmoid(at)
    parabola = functional.logsigmoid(at) + rise * (points - at) - curvature(at, rise_to) / 2 * (points - at).square()
    assert bool((parabola <= functional.logsigmoid(points) + 1e-6).all())
    expected = math.tanh(touch / 2) / (2 * touch) if touch else 0.25
    assert curvature(at, rise_to).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("tokens", [1, 4, 60])
def test_no_step_leads_down_and_many_lead_to_the_maximum(tokens: int) -> None:
    landscape, draw = make_landscape(), torch.Generator().manual_seed(tokens)
    present, weights = 2 * torch.randn(1, tokens, 6, generator=draw), torch.full((1, tokens), 1 / tokens)
    heights = []
    for steps in range(13):
        vector = climb(present, weights, landscape, torch.zeros(1, 6), steps).vectors[0]
        heights.append(height(vector, present[0], weights[0], landscape).item())
    assert all(after >= before - 1e-5 for before, after in pairwise(heights))

    exact = Landscape(*(tensor.double() for tensor in landscape))

    def below(vector: np.ndarray) -> tuple[float, np.ndarray]:
        at = torch.from_numpy(vector).requires_grad_()
        value = -height(at, present[0].double(), weights[0].double(), exact)
        value.backward()
        return value.item(), at.grad.numpy()

    found = climb(present, weights, landscape, torch.zeros(1, 6), 100).vectors[0]
    best = minimize(below, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    assert np.abs(found.numpy() - best).max() < 1e-3


def test_a_text_beside_others_has_the_vector_that_it_has_alone() -> None:
    model, texts = make_model(), draw_texts([3, 200, 0, 1, *[40] * 296])
    with torch.no_grad():
        together = model.represent(*model.collate(texts))
        for place in (0, 1, 2, 3, 150):
            alone = model.represent(*model.collate(texts.take(np.array([place]))))
            assert (together[place] - alone[0]).abs().max() <= 1e-5
    logits = score_texts(model, texts)
    assert abs(logits[1] - score_texts(model, texts.take(np.array([1])))[0]) <= 1e-5


def test_a_vector_has_the_length_of_the_root_of_its_width() -> None:
    model = make_model()
    lengths = model.represent(*model.collate(draw_texts([5, 30]))).norm(dim=1)
    assert lengths.tolist() == pytest.approx([WIDTH**0.5] * 2, rel=1e-5)


def test_a_text_without_an_n_gram_that_has_a_vector_scores_the_bias() -> None:
    model = make_model()
    torch.nn.init.constant_(model.fc.bias, 0.25)
    texts = EncodedTexts(np.array([2, 4, 6], np.int32), np.array([0, 3, 3]))  # even ids have none
    assert score_texts(model, texts).tolist() == [0.25, 0.25]


def test_n_grams_without_a_vector_say_nothing() -> None:
    model = make_model()
    with_them = EncodedTexts(np.array([1, 2, 3, 4, 7], np.int32), np.array([0, 5]))
    without = EncodedTexts(np.array([1, 3, 7], np.int32), np.array([0, 3]))
    assert np.array_equal(score_texts(model, with_them), score_texts(model, without))


def test_an_encoder_without_any_n_gram_is_no_fault() -> None:
    model = DocumentVectors(DocumentVectorsConfig(width=4), 1).eval()
    assert score_texts(model, EncodedTexts(np.zeros(0, np.int32), np.array([0, 0]))).tolist() == [0.0]


def test_bf16_changes_no_vector() -> None:
    model, batch = make_model(), make_model().collate(draw_texts([5, 30]))
    expected = model.represent(*batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.represent(*batch), expected)


def write_model(path: Path, too_many: bool = False) -> DocumentVectors:
    config = SMALL["document_vectors"]()
    encoder = fit_encoder(invent_reviews(40).texts, config)
    model = build_model(config, encoder)
    assert isinstance(model, DocumentVectors)
    model.chosen[1:] = 1.0
    if too_many:
        model.chosen[0] = 1.0
    architecture = Architecture(preprocessing=config.preprocessing, model=config.model.architecture)
    save_model(path, model, encoder, architecture)
    return model


def test_the_large_table_is_stored_in_half_precision_and_stays_so(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors")
    stored = read_tensor_file(tmp_path / "m.safetensors", "reviewscope-model/1").tensors
    assert stored["model.outputs"].dtype == np.float16 and stored["model.absent"].dtype == np.float32
    loaded = load_model_file(tmp_path / "m.safetensors").model.state_dict()
    assert {name: value.dtype for name, value in loaded.items()} == {
        name: value.dtype for name, value in model.state_dict().items()
    }


def test_a_file_that_names_more_n_grams_than_have_a_vector_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "m.safetensors", too_many=True)
    with pytest.raises(ModelFileError, match="which of its n-grams"):
        load_model_file(tmp_path / "m.safetensors")
