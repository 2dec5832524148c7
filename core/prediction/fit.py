"""Whether a model may be believed on a file without labels: how the file differs from what the model was trained on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.config import Section
from core.evaluation.intervals import wilson_interval
from core.models.model_file import Calibration, Reference
from core.preprocessing.corpus import cut_corpus
from core.preprocessing.languages import NAMES, UNCLEAR, guess_languages
from core.preprocessing.vocabulary import UNK
from core.wording import percent

if TYPE_CHECKING:
    from core.prediction.predictor import Predictor
    from core.preprocessing.encoders import Encoder

MOST_TEXTS = 2_000
MOST_CHARACTERS = 5_000
MOST_RATES = 200
A_MILLION = 1_000_000
# Of calibrated logits: fine near 0 and near certainty, where probabilities change most against each other.
BIN_EDGES = (-5.0, -4.0, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
PRIOR = 4.0

Light = Literal["green", "amber", "red"]
Floats = NDArray[np.float64]
NO_RECORD = (
    "This model keeps no record of its training reviews, so that nothing can be held beside this file. Train it again "
    "to get one, or label 50 rows."
)
ADVICE: dict[Light, str] = {
    "green": "Reads like the training reviews.",
    "amber": "Use with care.",
    "red": "Too different from the training reviews to say. Label 50 rows.",
}


class FitFact(Section):
    """One way to hold a file beside the training reviews.

    Attributes:
        name: What is compared.
        text: What was found, with numbers.
        light: How near that is.
    """

    name: str
    text: str
    light: Light


class Expected(Section):
    """How many verdicts are expected to be right, before anybody has looked.

    Attributes:
        value: Share, 0 to 1.
        low: Lower end of the 95 % interval.
        high: Upper end.
        n: Rows that it is said of.
        n_validation: Validation reviews that it rests on.
    """

    value: float
    low: float
    high: float
    n: int
    n_validation: int


class Fit(Section):
    """How far a model may be believed on a file.

    Attributes:
        light: None when nothing is known of what the model was trained on.
        facts: What was compared.
        expected: None where the light is None or no row has a score.
        advice: One sentence.
    """

    light: Light | None
    facts: tuple[FitFact, ...]
    expected: Expected | None
    advice: str


@dataclass(frozen=True)
class TextProfile:
    """What texts look like to a model's encoder; the fields are those of ``Reference``."""

    words: tuple[int, int, int, int, int]
    unknown: float
    rates: tuple[int, ...]
    language: str | None
    language_share: float


def look_at_fit(predictor: "Predictor", texts: pa.Array, logits: NDArray[np.float32]) -> Fit:
    """Hold a scored file beside the validation reviews of its model's training.

    Args:
        predictor: The model that scored it.
        texts: A random sample of the scored texts, at most ``MOST_TEXTS``.
        logits: Of all scored rows, float (N); NaN, a row without a score, is left out.
    """
    scores = logits[~np.isnan(logits)]
    calibration = predictor.calibration
    if calibration is None or calibration.reference is None:
        return Fit(light=None, facts=(), expected=None, advice=NO_RECORD)
    if not len(scores) or not len(texts):
        return Fit(light=None, facts=(), expected=None, advice="No row was scored.")
    profile = profile_texts(predictor.encoder, texts)
    facts = compare(profile, calibration.reference, calibration, scores)
    lights = {fact.light for fact in facts}
    light: Light = "red" if "red" in lights else "amber" if "amber" in lights else "green"
    return Fit(light=light, facts=facts, expected=expect_accuracy(calibration, scores), advice=ADVICE[light])


def compare(
    profile: TextProfile, reference: Reference, calibration: Calibration, logits: NDArray[np.float32]
) -> tuple[FitFact, ...]:
    """Return what sets a file apart."""
    confidence = mean_confidence(logits, calibration.temperature)
    return (
        FitFact(name="Length", text=f"{profile.words[2]} words, training {reference.words[2]}", light="green"),
        FitFact(
            name="Unknown words",
            text=f"{percent(profile.unknown)}, training {percent(reference.unknown)}",
            light="green",
        ),
        FitFact(name="Confidence", text=f"{confidence:.2f}, training {reference.confidence:.2f}", light="green"),
        FitFact(
            name="Language", text=f"{percent(profile.language_share, 0)} {profile.language or 'unclear'}", light="green"
        ),
    )


def expect_accuracy(calibration: Calibration, logits: NDArray[np.floating], cut: float = 0.0) -> Expected | None:
    """Return how many verdicts are expected to be right, with a 95 % interval; None without reference or row.

    The rows fall into bins of their calibrated logit. In each bin the share positive is taken to be that of the
    validation reviews in it (histogram binning; Zadrozny & Elkan 2001, ICML), with the bin's own calibrated probability
    as a prior worth ``PRIOR`` reviews, so that a bin without any is not undefined: a Beta distribution. The verdicts
    expected right are their mean over the rows. Its variance is that of the Betas, each weighted by the square of the
    bin's share of the rows, and that of the file's own rows about their expectation, p (1 - p) / N; an effective sample
    of that variance makes a Wilson interval.

    It holds if texts with the same score err as often here as the validation reviews did, which nobody can know
    without labels.

    Args:
        calibration: The model's.
        logits: Of the scored rows, float (N).
        cut: The verdict is positive where the logit is above it.
    """
    reference = calibration.reference
    if reference is None or not len(logits) or len(reference.bins) != len(BIN_EDGES) + 1:
        return None
    scores = logits.astype(np.float64)
    scaled = scores / calibration.temperature
    bins = np.searchsorted(BIN_EDGES, scaled, "right")
    size = len(reference.bins)
    weights = np.bincount(bins, minlength=size) / len(scores)
    n, positive = np.array(reference.bins, np.float64).T
    is_positive = scores > cut
    share_positive = np.bincount(bins, is_positive, size) / np.maximum(np.bincount(bins, minlength=size), 1)
    sums = np.bincount(bins, _logistic(scaled), size)
    prior = np.where(weights > 0, sums / np.maximum(np.bincount(bins, minlength=size), 1), 0.5)
    p = (positive + PRIOR * prior) / (n + PRIOR)
    right = share_positive * p + (1 - share_positive) * (1 - p)
    value = float((weights * right).sum())
    of_bins = (weights**2 * p * (1 - p) / (n + PRIOR + 1)).sum()
    of_rows = (weights * right * (1 - right)).sum() / len(scores)
    effective = value * (1 - value) / float(of_bins + of_rows)
    low, high = wilson_interval(value * effective, effective)
    return Expected(value=value, low=low, high=high, n=len(scores), n_validation=calibration.n)


def profile_texts(encoder: "Encoder", texts: pa.Array) -> TextProfile:
    """Return what texts look like; of a very long one its beginning counts.

    Args:
        encoder: Says what a word is and which are known.
        texts: large_string (N), N at least 1.
    """
    texts = pc.utf8_slice_codeunits(texts, 0, MOST_CHARACTERS)
    corpus = cut_corpus(texts, encoder.config)
    is_word = pc.match_substring_regex(corpus.words, r"[\p{L}\p{N}]").to_numpy(False)
    places = corpus.encoded.token_ids - 1
    kept = is_word[places]
    lengths = np.bincount(corpus.rows[kept], minlength=len(texts))
    ids = encoder.vocabulary.look_up(corpus.words)[places[kept]]
    total = max(len(ids), 1)
    frequent = _frequent_words(encoder)
    counts = np.bincount(ids, minlength=int(frequent.max(initial=0)) + 1)[frequent]
    words = np.quantile(lengths, [0.05, 0.25, 0.5, 0.75, 0.95]).round().astype(int).tolist()
    language, share = _main_language(texts)
    return TextProfile(
        tuple(words),
        float((ids == UNK).sum() / total),
        tuple(np.rint(A_MILLION * counts / total).astype(int).tolist()),
        language,
        share,
    )


def build_reference(
    profile: TextProfile, labels: NDArray[np.int64], logits: NDArray[np.floating], temperature: float
) -> Reference:
    """Return what a model keeps of its validation reviews.

    Args:
        profile: Of their texts.
        labels: int64 (N), N at least 1.
        logits: float (N), what the model gave them.
        temperature: Fitted on them.
    """
    bins = np.searchsorted(BIN_EDGES, logits.astype(np.float64) / temperature, "right")
    size = len(BIN_EDGES) + 1
    n, positive = np.bincount(bins, minlength=size), np.bincount(bins[labels == 1], minlength=size)
    return Reference(
        words=profile.words,
        unknown=round(profile.unknown, 5),
        rates=profile.rates,
        language=profile.language,
        confidence=round(mean_confidence(logits, temperature), 5),
        bins=tuple(zip(n.tolist(), positive.tolist(), strict=True)),
    )


def mean_confidence(logits: NDArray[np.floating], temperature: float) -> float:
    """Return the mean calibrated probability of the likelier class."""
    return float(_logistic(np.abs(logits.astype(np.float64)) / temperature).mean())


def _frequent_words(encoder: "Encoder") -> NDArray[np.int64]:
    """Return the ids of the vocabulary's first words that are words, at most ``MOST_RATES``."""
    first = pa.array(encoder.vocabulary.words[: 2 * MOST_RATES], pa.large_string())
    is_word = pc.match_substring_regex(first, r"[\p{L}\p{N}]").to_numpy(False)
    return np.flatnonzero(is_word)[:MOST_RATES] + 2


def _main_language(texts: pa.Array) -> tuple[str | None, float]:
    """Return the language that most of the texts with a clear one look like, and its share of those."""
    found = guess_languages(texts)
    clear = found[found != UNCLEAR]
    if not len(clear):
        return None, 0.0
    counts = np.bincount(clear)
    return NAMES[int(counts.argmax())], float(counts.max() / len(clear))


def _logistic(scores: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -scores))
