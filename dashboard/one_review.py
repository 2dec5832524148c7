"""One review on the prediction page: a box to write in, the verdict of one model or two, and what was read."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from core.charts.tokens import Tokens
from core.errors import ReviewscopeError
from core.model_settings import Cutoffs, ModelSettings, load_settings, probability_text, settings_fault
from core.models.model_file import Calibration
from core.prediction.explanation import Reading
from core.wording import percent
from dashboard import state
from dashboard.cache import load_predictor
from dashboard.components import (
    draw_caption,
    draw_probability_bars,
    draw_section,
    empty_box,
    failed_box,
)
from dashboard.explained_text import draw_explained, give_up
from dashboard.highlight import SHOWN_CHARACTERS
from dashboard.review_history import PastReading, PastVerdict, draw_history, note_reading
from dashboard.tokens import current_tokens
from dashboard.two_models import agreement_words, choose_other, draw_distance, name_of

TEXT, EXAMPLE = "prediction_text", "prediction_example"
PLACES = ("prediction_why", "prediction_why_other")
EXAMPLES = {
    "Clearly positive": "This movie was absolutely fantastic!",
    "Clearly negative": "Terrible waste of time and money.",
    "Middling": "It was okay, nothing special.",
    "Not … bad": "The acting is not bad at all, and the ending moved me. I would not watch it twice, though.",
    "Long and mixed": (
        "I went in expecting very little, and for the first half hour I was right. The dialogue is stiff, the camera "
        "never sits still, and the villain seems to have wandered over from another film.\n\n"
        "Then the two sisters finally meet, and everything changes. The scene in the kitchen, with the radio on and "
        "nobody saying what they mean, is as good as anything I have seen this year. The last act does not quite keep "
        "it up, but I left the cinema glad that I had stayed."
    ),
}
# From this confidence on, the words after "Positive" or "Negative".
DEGREES = ((0.9, ", clearly"), (0.75, ""))
LEAST_DEGREE = ", but not by much"


@dataclass(frozen=True)
class Verdict:
    """What one model makes of a text.

    Attributes:
        reference: The model.
        name: What it is called.
        probability: Of positive, 0 to 1, as the model gives it; ``intensity`` is the calibrated one.
        cutoffs: The threshold and band that are set for it.
    """

    reference: str
    name: str
    sha256: str
    probability: float
    intensity: float
    cutoffs: ModelSettings
    calibration: Calibration | None

    @property
    def in_a_word(self) -> str:
        """Return the verdict in a word; a probability inside the band is not sure."""
        return self.cutoffs.side(self.probability).capitalize()


def draw_one_review(reference: str) -> None:
    """Draw the box, the examples, what one or two models make of the text, and what was read before."""
    left, right = st.columns([1, 1], gap="large")
    with left:
        text = st.text_area("Review", key=TEXT, height=150, on_change=state.remember, args=(EXAMPLE, None)) or ""
        st.pills("Examples", list(EXAMPLES), key=EXAMPLE, on_change=take_example)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.button("Read this review", type="primary")  # a rerun is all it takes; leaving the box does it too
            other = choose_other(reference)
    references = [reference, other] if other else [reference]
    for place in PLACES[len(references) if text.strip() else 0 :]:
        give_up(place)
    if text.strip():
        verdicts = [read_review(each, text) for each in references]
        with right:
            if other is None:
                draw_verdict(verdicts[0], text, PLACES[0])
            else:
                draw_agreement(verdicts)
        if other is not None:
            draw_both(verdicts, text)
        note_reading(PastReading(text, tuple(
            PastVerdict(each.name, each.in_a_word, each.probability) for each in verdicts if isinstance(each, Verdict)
        )))  # fmt: skip
    else:
        with right, empty_box("review", "Nothing to read yet.", "Write or paste a review, or choose an example: the "
                              "verdict, its confidence and the words behind it appear here."):  # fmt: skip
            pass
    draw_history(TEXT, EXAMPLE)


def take_example() -> None:
    """Put the chosen example into the box."""
    chosen = state.recall(EXAMPLE)
    if chosen in EXAMPLES:
        state.remember(TEXT, EXAMPLES[chosen])


def read_review(reference: str, text: str) -> Verdict | str:
    """Return what a model makes of a text, or the sentence that says why it can make nothing of it."""
    try:
        predictor = load_predictor(reference)
        predictions = predictor.predict([text])
    except ReviewscopeError as error:
        return str(error)
    except UnicodeEncodeError:
        return "The text has a character that is none."
    return Verdict(
        reference=reference,
        name=name_of(reference),
        sha256=predictor.sha256,
        probability=float(predictions.probabilities[0]),
        intensity=float(predictions.intensities[0]),
        cutoffs=load_settings(predictor.sha256),
        calibration=predictor.calibration,
    )


def draw_agreement(verdicts: Sequence[Verdict | str]) -> None:
    """Draw where two models agree, as far as both could read the text."""
    read = [each for each in verdicts if isinstance(each, Verdict)]
    if len(read) == 2:
        first, second = read
        names, probabilities = (first.name, second.name), (first.probability, second.probability)
        draw_section(*agreement_words(names, probabilities, (first.cutoffs, second.cutoffs)))
        draw_distance(names, probabilities)
    elif read:
        draw_section("Only one of the two can be read", f"{read[0].name} has read the review.")
    else:
        draw_section("Neither model can be read", "Both say why.")


def draw_both(verdicts: Sequence[Verdict | str], text: str) -> None:
    """Draw two verdicts side by side; on a narrow screen one stands under the other."""
    for column, verdict, place in zip(st.columns(2, gap="large"), verdicts, PLACES, strict=True):
        with column:
            draw_verdict(verdict, text, place, is_named=True)


def draw_verdict(verdict: Verdict | str, text: str, place: str, *, is_named: bool = False) -> None:
    """Draw verdict, bars and the marked text, or why there is none; ``place`` tells it from another on the page."""
    if isinstance(verdict, str):
        with failed_box(place, verdict, "Nothing was scored."):
            return
    title, how_sure = verdict_words(verdict.probability, verdict.cutoffs)
    draw_section(title, f"{verdict.name}, {how_sure}" if is_named else how_sure)
    draw_probability_bars(verdict.probability)
    draw_caption(intensity_note(verdict.intensity, verdict.calibration))
    if not verdict.cutoffs.is_usual:
        draw_caption(threshold_note(verdict.probability, verdict.cutoffs))
    if fault := settings_fault(verdict.sha256):
        draw_caption(fault)
    draw_reading(verdict.reference, text, place)


def draw_reading(reference: str, text: str, place: str) -> None:
    """Draw how much was read, and the text with its words marked; of a very long one the beginning."""
    shown = text[:SHOWN_CHARACTERS]
    draw_explained(reference, shown, place, partial(reading_heading, shown))
    if len(text) > len(shown):
        draw_caption(
            f"Only the first {SHOWN_CHARACTERS:,} of {len(text):,} characters are shown and counted here; the verdict "
            "is on the whole text."
        )


def reading_heading(text: str, reading: Reading) -> tuple[str, str, list[tuple[str, str]]]:
    """Return what stands over a reading: title, how much was read, and the key."""
    return "Why", reading_sentence(text, reading), reading_key(reading, current_tokens())


def draw_tried(probability: float, cutoffs: ModelSettings) -> None:
    """Draw bars and verdict in one line, for a box to try a model in."""
    draw_probability_bars(probability)
    sentiment, confidence = read_probability(probability, cutoffs)
    not_sure = ", which counts as not sure" if cutoffs.side(probability) == "not sure" else ""
    note = "" if cutoffs.is_usual else f" {threshold_note(probability, cutoffs)}"
    draw_caption(f"{sentiment}, {percent(confidence, 0)} confident{not_sure}.{note}")


def verdict_words(probability: float, cutoffs: Cutoffs) -> tuple[str, str]:
    """Return the verdict in words, and how sure it is; a probability inside the band is not sure."""
    sentiment, confidence = read_probability(probability, cutoffs)
    how_sure = f"{percent(confidence, 0)} confident"
    if cutoffs.side(probability) == "not sure":
        band = f"{probability_text(cutoffs.unsure_low)} to {probability_text(cutoffs.unsure_high)}"
        return f"Too close to call, leaning {sentiment.lower()}", f"{how_sure}; from {band} it counts as not sure"
    return sentiment + next((words for least, words in DEGREES if confidence >= least), LEAST_DEGREE), how_sure


def intensity_note(intensity: float, calibration: Calibration | None) -> str:
    """Say how positive a text is, and whether the score is calibrated."""
    if calibration is None:
        return f"Intensity {intensity:.2f} from 0 to 1; this model has no temperature, so it is not calibrated."
    return (
        f"Intensity {intensity:.2f} from 0 to 1: the probability of positive, calibrated on {calibration.n:,} reviews."
    )


def threshold_note(probability: float, cutoffs: ModelSettings) -> str:
    """Say which setting the verdict follows, and where the usual one would say something else."""
    here, usual = (read_probability(probability, each)[0] for each in (cutoffs, Cutoffs()))
    other = f" At 0.50 it would be {usual.lower()}." if here != usual else ""
    return f"Threshold {cutoffs.describe().removeprefix('threshold ')}, set for this model.{other}"


def read_probability(probability: float, cutoffs: Cutoffs) -> tuple[str, float]:
    """Return the sentiment that a probability of positive is read as, and the probability of that."""
    return ("Positive", probability) if probability > cutoffs.threshold else ("Negative", 1 - probability)


def reading_sentence(text: str, reading: Reading) -> str:
    """Say how many words were read; punctuation is read too, but is no word to a person."""
    words = [word for word in reading.words if any(map(str.isalnum, text[word.start : word.end]))]
    if not words:
        return "No word that the model reads can be pointed out in this text."
    read = sum(word.is_read for word in words)
    unknown = sum(word.is_read and not word.is_known for word in words)
    beyond = len(words) - read
    count = "the one word" if len(words) == 1 else f"all {len(words):,} words"
    parts = [f"It read {count}." if not unknown + beyond else f"It read {read - unknown:,} of {len(words):,} words"]
    if unknown:
        parts.append(f"; {unknown:,} {'is' if unknown == 1 else 'are'} unknown (dotted)")
    if beyond:
        parts.append(f"; the last {beyond:,} lie beyond what it reads (grey)")
    return "".join(parts).rstrip(".") + "."


def reading_key(reading: Reading, tokens: Tokens) -> list[tuple[str, str]]:
    """Return the key of the marks; none where no word was read."""
    if not any(word.is_read for word in reading.words):
        return []
    return [("to negative", tokens.negative), ("to positive", tokens.positive)]
