"""Whether a model may be believed on a file without labels: how the file differs from what the model was trained on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.config import Section
from core.evaluation.intervals import Z, wilson_interval
from core.models.model_file import Calibration, Reference
from core.preprocessing.corpus import cut_corpus
from core.preprocessing.languages import NAMES, UNCLEAR, guess_languages
from core.preprocessing.vocabulary import SPECIAL_TOKENS
from core.wording import percent

if TYPE_CHECKING:
    from core.prediction.predictor import Predictor
    from core.preprocessing.encoders import Encoder

MOST_TEXTS = 2_000
MOST_CHARACTERS = 5_000  # of one text
MOST_IN_ALL = 1_500_000  # half a second's work
MOST_RATES = 200
A_MILLION = 1_000_000
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LONGEST_SHOWN = 20
# Of calibrated logits: fine near 0 and near certainty, where probabilities change most against each other.
BIN_EDGES = (-5.0, -4.0, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
PRIOR = 1.0
SHARE_OF_DROP = 0.5

# From where on a difference is no longer small (amber), and from where on nothing can be said (red). Chosen on
# validation reviews that were cut short, misspelt or picked by topic, on the demo corpus, and the red ones on tweets
# and newspaper articles; docs/experiments.md says what they do on test reviews.
AMBER_SHORTER, RED_SHORTER = 0.5, 0.05  # of training's median length; twice as long is amber too
AMBER_UNKNOWN, RED_UNKNOWN = 0.02, 0.25  # more than in training, as a share of all words
AMBER_VOCABULARY, RED_VOCABULARY = 0.05, 0.16  # total variation between the rates of frequent words
AMBER_CONFIDENCE, RED_CONFIDENCE = 0.02, 0.20  # below training's mean
AMBER_LANGUAGE, RED_LANGUAGE = 0.1, 0.5  # of the texts whose language is clear look like another
LEAST_CLEAR = 5

Light = Literal["green", "amber", "red"]
Floats = NDArray[np.float64]
NO_RECORD = (
    "This model keeps no record of its training reviews, so that nothing can be held beside this file. Train it again "
    "to get one, or label 50 rows."
)
NO_ROW = "No row was scored, so that there is nothing to say."
ADVICE: dict[Light, str] = {
    "green": "Reads like the training reviews.",
    "amber": "Use with care.",
    "red": "Too different from the training reviews to say. Label 50 rows.",
}


class FitFact(Section):
    """One way to hold a file beside the training reviews.

    Attributes:
        name: What is compared.
        text: What was found, with numbers; it may quote words of the model's vocabulary.
        light: How near that is.
        difference: What the texts do differently, to be put behind "These texts"; "" when it is small.
    """

    name: str
    text: str
    light: Light
    difference: str = ""


class Expected(Section):
    """How many verdicts are expected to be right, before anybody has looked.

    Attributes:
        value: Share, 0 to 1.
        low: Lower end of the 95 % interval.
        high: Upper end.
        n: Rows that it is said of.
        n_validation: Validation reviews that it rests on.
        allowance: How much of the interval, to each side, stands for what a lower confidence may hide.
    """

    value: float
    low: float
    high: float
    n: int
    n_validation: int
    allowance: float

    @property
    def assumption(self) -> str:
        """Return what it takes for granted, in plain words."""
        said = (
            f"From calibrated confidence. It assumes that texts err here as the {self.n_validation:,} validation "
            "reviews with the same confidence did."
        )
        if round(100 * self.allowance, 1) == 0:
            return said
        return f"{said} The interval allows {100 * self.allowance:.1f} points more for the lower confidence."


class Fit(Section):
    """How far a model may be believed on a file.

    Attributes:
        light: None when nothing is known of what the model was trained on, or no row has a score.
        facts: What was compared.
        expected: None where the light is red or None.
        advice: What to do, in a sentence or two.
    """

    light: Light | None
    facts: tuple[FitFact, ...]
    expected: Expected | None
    advice: str

    @property
    def verdict(self) -> str:
        """Return the one line to read first."""
        if self.expected is None:
            return "Nobody can say yet"
        return f"About {100 * self.expected.value:.0f} in 100 right"

    @property
    def reason(self) -> str:
        """Return what the texts do differently, as a sentence; "" when nothing much."""
        found = [fact.difference for fact in self.facts if fact.difference]
        if not found:
            return ""
        *first, last = found
        return f"These texts {', '.join(first)} and {last}." if first else f"These texts {last}."


@dataclass(frozen=True)
class TextProfile:
    """What N texts look like to a model's encoder.

    Attributes:
        words: As in ``Reference``, and so are ``unknown`` and ``language``.
        rates: How often each of the vocabulary's first words stands among all words, float64 (W).
        rate_errors: Standard errors of the rates, with texts as the unit, float64 (W).
        language_share: Of the texts with a clear language, those that look like ``language``.
        clear: How many have a clear one.
    """

    words: tuple[int, int, int, int, int]
    unknown: float
    rates: Floats
    rate_errors: Floats
    language: str | None
    language_share: float
    clear: int


def look_at_fit(predictor: "Predictor", texts: pa.Array, logits: NDArray[np.floating], cut: float = 0.0) -> Fit:
    """Hold a scored file beside the validation reviews of its model's training.

    Args:
        predictor: The model that scored it.
        texts: A random sample of the scored texts, large_string. At most ``MOST_TEXTS`` are read, fewer of long ones.
        logits: Of all scored rows, float (N); NaN, a row without a score, is left out.
        cut: The verdict is positive where the logit is above it.
    """
    scores = logits[~np.isnan(logits)]
    calibration = predictor.calibration
    if calibration is None or calibration.reference is None:
        return Fit(light=None, facts=(), expected=None, advice=NO_RECORD)
    if not len(scores) or not len(texts):
        return Fit(light=None, facts=(), expected=None, advice=NO_ROW)
    profile, reference = profile_texts(predictor.encoder, _few_enough(texts)), calibration.reference
    facts = (
        _compare_length(profile, reference),
        _compare_unknown(profile, reference),
        _compare_vocabulary(profile, reference, predictor.encoder),
        _compare_confidence(scores, calibration, reference),
        _compare_language(profile, reference),
    )
    light = max((fact.light for fact in facts), key=("green", "amber", "red").index)
    expected = None if light == "red" else expect_accuracy(calibration, scores, cut)
    return Fit(light=light, facts=facts, expected=expected, advice=ADVICE[light])


def _few_enough(texts: pa.Array) -> pa.Array:
    """Return so many of the texts that looking at them stays quick, spread evenly over all."""
    spread = texts.take(pa.array(np.linspace(0, len(texts) - 1, min(len(texts), MOST_TEXTS)).astype(np.int64)))
    lengths = np.minimum(pc.utf8_length(spread).to_numpy(), MOST_CHARACTERS)
    most = max(int(len(spread) * min(1.0, MOST_IN_ALL / max(int(lengths.sum()), 1))), 1)
    return spread.take(pa.array(np.linspace(0, len(spread) - 1, most).astype(np.int64)))


def _compare_length(profile: TextProfile, reference: Reference) -> FitFact:
    here, there = profile.words[2], reference.words[2]
    ratio = here / max(there, 1)
    light: Light = "red" if ratio < RED_SHORTER else "amber" if not AMBER_SHORTER <= ratio <= 2 else "green"
    how = "much longer" if ratio > 1 else "much shorter"
    return _fact("Length", light, how, f"{here:,} words, training {there:,}", f"are {how}")


def _compare_unknown(profile: TextProfile, reference: Reference) -> FitFact:
    light = _light(profile.unknown - reference.unknown, AMBER_UNKNOWN, RED_UNKNOWN)
    figures = f"{percent(profile.unknown)}, training {percent(reference.unknown)}"
    return _fact("Unknown words", light, "more", figures, "hold more words that the model does not know")


def _compare_vocabulary(profile: TextProfile, reference: Reference, encoder: "Encoder") -> FitFact:
    """Compare how often the most frequent words stand; the one whose rate moved most is named."""
    words = _frequent_words(encoder)[: len(reference.rates)]
    if not len(words):
        return FitFact(name="Vocabulary", text="there is no word to compare", light="green")
    here, errors = profile.rates[: len(words)], profile.rate_errors[: len(words)]
    there = np.array(reference.rates[: len(words)], np.float64) / A_MILLION
    apart = here - there
    # All other words are one more place, to which what these lose goes.
    moved, noise = (np.abs(apart).sum() + abs(apart.sum())) / 2, np.sqrt(2 / np.pi) * errors.sum() / 2
    # What as many texts of the same kind would differ by is taken off, as variances are.
    shift = float(np.sqrt(max(moved**2 - noise**2, 0.0)))
    light = _light(shift, AMBER_VOCABULARY, RED_VOCABULARY)
    if light == "green":
        return FitFact(name="Vocabulary", text=f"much the same: {percent(shift)} apart", light=light)
    most = int(np.abs(np.sqrt(here) - np.sqrt(there)).argmax())
    word = encoder.vocabulary.words[words[most] - len(SPECIAL_TOKENS)][:LONGEST_SHOWN]
    rates = f"“{word}” is {percent(float(here[most]))} of the words, training {percent(float(there[most]))}"
    return _fact("Vocabulary", light, f"{percent(shift)} apart", rates, "use other words")


def _compare_confidence(logits: NDArray[np.floating], calibration: Calibration, reference: Reference) -> FitFact:
    here, error = mean_confidence(logits, calibration.temperature)
    drop = reference.confidence - here
    light = _light(drop, AMBER_CONFIDENCE, RED_CONFIDENCE) if drop > Z * error else "green"
    figures = f"{here:.2f}, training {reference.confidence:.2f}"
    return _fact("Confidence", light, "lower", figures, "leave the model less sure")


def _compare_language(profile: TextProfile, reference: Reference) -> FitFact:
    share, found = profile.language_share, profile.language
    if found is None or profile.clear < LEAST_CLEAR or reference.language is None:
        return FitFact(name="Language", text="cannot be told", light="green")
    if found == reference.language:
        light = _light(1 - share, AMBER_LANGUAGE, RED_LANGUAGE)
        return _fact("Language", light, "mixed", f"{percent(share, 0)} {found}", f"are not all {found}")
    figures = f"looks like {found} ({percent(share, 0)}), training {reference.language}"
    return _fact("Language", "red", "another", figures, f"look like {found}")


def _fact(name: str, light: Light, how: str, figures: str, difference: str) -> FitFact:
    """Return a fact; what it says of a difference is left out where there is none."""
    if light == "green":
        return FitFact(name=name, text=figures, light=light)
    return FitFact(name=name, text=f"{how}: {figures}", light=light, difference=difference)


def _light(value: float, amber: float, red: float) -> Light:
    return "red" if value > red else "amber" if value > amber else "green"


def expect_accuracy(calibration: Calibration, logits: NDArray[np.floating], cut: float = 0.0) -> Expected | None:
    """Return how many verdicts are expected to be right, with a 95 % interval; None without reference or row.

    The rows fall into bins of their calibrated logit. In each bin the share positive is taken to be that of the
    validation reviews in it (histogram binning; Zadrozny & Elkan 2001, ICML), with the bin's own calibrated probability
    as a prior worth ``PRIOR`` review, so that a bin without any is not undefined: a Beta distribution. The verdicts
    expected right are their mean over the rows. Its variance is that of the Betas, each weighted by the square of the
    bin's share of the rows, and that of the file's own rows about their expectation, p (1 - p) / N; an effective sample
    of that variance makes a Wilson interval.

    It holds if texts with the same score err as often here as the validation reviews did, which nobody can know
    without labels. On texts of another kind a model grows less sure, but mostly not enough so (Guillory et al. 2021,
    ICCV): half of what the mean confidence fell below training's is allowed to each side of the interval.

    Args:
        calibration: The model's.
        logits: Of the scored rows, float (N).
        cut: The verdict is positive where the logit is above it.
    """
    reference = calibration.reference
    if reference is None or not len(logits) or len(reference.bins) != len(BIN_EDGES) + 1:
        return None
    scores = logits.astype(np.float64)
    scaled, size = scores / calibration.temperature, len(reference.bins)
    bins = np.searchsorted(BIN_EDGES, scaled, "right")
    rows = np.bincount(bins, minlength=size)
    used = rows > 0
    weights, above = rows[used] / len(scores), np.bincount(bins[scores > cut], minlength=size)[used] / rows[used]
    prior = np.bincount(bins, _logistic(scaled), size)[used] / rows[used]
    n, positive = np.array(reference.bins, np.float64)[used].T
    # Away from 0 and 1, where a score beyond all measure would leave no variance.
    share = ((positive + PRIOR * prior) / (n + PRIOR)).clip(1e-6, 1 - 1e-6)
    right = above * share + (1 - above) * (1 - share)
    value = float((weights * right).sum())
    # A verdict that is positive and one that is negative are right by 1 - share of each other.
    of_bins = (weights**2 * (2 * above - 1) ** 2 * share * (1 - share) / (n + PRIOR + 1)).sum()
    of_rows = (weights * right * (1 - right)).sum() / len(scores)
    effective = value * (1 - value) / float(of_bins + of_rows)
    low, high = wilson_interval(value * effective, effective)
    drop = reference.confidence - mean_confidence(scores, calibration.temperature)[0]
    allowance = SHARE_OF_DROP * max(drop, 0.0)
    return Expected(
        value=value,
        low=max(low - allowance, 0.0),
        high=min(high + allowance, 1.0),
        n=len(scores),
        n_validation=calibration.n,
        allowance=allowance,
    )


def profile_texts(encoder: "Encoder", texts: pa.Array) -> TextProfile:
    """Return what texts look like; of a very long one its beginning counts.

    Args:
        encoder: Says what a word is and which are known.
        texts: large_string (N), N at least 1.
    """
    texts = pc.utf8_slice_codeunits(texts, 0, MOST_CHARACTERS)
    corpus = cut_corpus(texts, encoder.config)
    is_word = pc.match_substring_regex(corpus.words, r"[\p{L}\p{N}]").to_numpy(False)
    kept = is_word[corpus.encoded.token_ids - 1]
    known = encoder.knows(corpus.words)[corpus.encoded.token_ids[kept] - 1]
    rows = corpus.rows[kept]
    ids = encoder.vocabulary.look_up(corpus.words)[corpus.encoded.token_ids[kept] - 1]
    lengths, total = np.bincount(rows, minlength=len(texts)), max(len(ids), 1)
    rates, errors = _rates(rows, ids, lengths, _frequent_words(encoder))
    language, share, clear = _main_language(texts)
    return TextProfile(
        words=tuple(np.quantile(lengths, QUANTILES).round().astype(int).tolist()),
        unknown=float((~known).sum() / total),
        rates=rates,
        rate_errors=errors,
        language=language,
        language_share=share,
        clear=clear,
    )


def _rates(
    rows: NDArray[np.int64], ids: NDArray[np.int32], lengths: NDArray[np.int64], words: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return how often each of some words (ids, ascending) stands among all words, and the standard errors."""
    total = max(len(ids), 1)
    places = np.searchsorted(words, ids).clip(max=max(len(words) - 1, 0))
    found = words[places] == ids if len(words) else np.zeros(len(ids), np.bool_)
    keys = rows[found] * len(words) + places[found]
    counts = np.bincount(keys, minlength=len(lengths) * len(words)).reshape(len(lengths), len(words))
    rates = counts.sum(axis=0) / total
    return rates, np.sqrt(((counts - lengths[:, None] * rates) ** 2).sum(axis=0)) / total


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
    bins, size = np.searchsorted(BIN_EDGES, logits.astype(np.float64) / temperature, "right"), len(BIN_EDGES) + 1
    n, positive = np.bincount(bins, minlength=size), np.bincount(bins[labels == 1], minlength=size)
    return Reference(
        words=profile.words,
        unknown=round(profile.unknown, 5),
        rates=tuple(np.rint(A_MILLION * profile.rates).astype(int).tolist()),
        language=profile.language,
        confidence=round(mean_confidence(logits, temperature)[0], 5),
        bins=tuple(zip(n.tolist(), positive.tolist(), strict=True)),
    )


def mean_confidence(logits: NDArray[np.floating], temperature: float) -> tuple[float, float]:
    """Return the mean calibrated probability of the likelier class, and its standard error."""
    confidences = _logistic(np.abs(logits.astype(np.float64)) / temperature)
    return float(confidences.mean()), float(confidences.std() / len(confidences) ** 0.5)


def _frequent_words(encoder: "Encoder") -> NDArray[np.int64]:
    """Return the ids of the vocabulary's first words that are words, at most ``MOST_RATES``."""
    first = pa.array(encoder.vocabulary.words[: 2 * MOST_RATES], pa.large_string())
    is_word = pc.match_substring_regex(first, r"[\p{L}\p{N}]").to_numpy(False)
    return np.flatnonzero(is_word)[:MOST_RATES] + len(SPECIAL_TOKENS)


def _main_language(texts: pa.Array) -> tuple[str | None, float, int]:
    """Return the language that most of the texts with a clear one look like, its share of those, and their number."""
    found = guess_languages(texts)
    clear = found[found != UNCLEAR]
    if not len(clear):
        return None, 0.0, 0
    counts = np.bincount(clear)
    return NAMES[int(counts.argmax())], float(counts.max() / len(clear)), len(clear)


def _logistic(scores: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -scores))
