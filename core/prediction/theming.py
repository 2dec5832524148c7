"""What the misread reviews of a scored split have in common: a look that ``core.prediction.analysis`` takes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from core.data.labelled import LabelledTexts
from core.errors import JobError
from core.evaluation.discoveries import Mask, Term, Terms, collect_terms, find_terms
from core.evaluation.lift import Lift
from core.evaluation.selection import Results
from core.evaluation.themes import THEMES, ThemeLift, gather_pile, theme_lifts, theme_masks
from core.evaluation.words import WordLean, one_sided_words
from core.job_folder import JobReporter
from core.prediction.analysis import Finding, Subject
from core.prediction.predictor import Predictor
from core.preprocessing.corpus import cut_corpus

RULES_VERSION = 1  # of the rules; other rules give other folders
MOST_LISTED = 200
DISTINCTIVE = 10  # words a side


@dataclass(frozen=True)
class ErrorThemes:
    """What the misread reviews of a split have in common.

    Attributes:
        n: Reviews.
        errors: How many are misread.
        themes: By falling lift, those without one last.
        found: Words and pairs whose reviews are misread significantly more often, by the lower end of their lift; 200
            at most.
        found_count: How many there are, listed or not.
        words_tested: Words that were looked at.
        pairs_tested: Pairs likewise.
        distinctive: Words that tell the misread reviews (above 0) from the others; the most certain first.
    """

    n: int
    errors: int
    themes: tuple[ThemeLift, ...]
    found: tuple[Term, ...]
    found_count: int
    words_tested: int
    pairs_tested: int
    distinctive: tuple[WordLean, ...]

    def to_document(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "ErrorThemes":
        """Read what ``to_document`` gave.

        Raises:
            JobError: It is something else.
        """
        try:
            themes = tuple(ThemeLift(each["key"], each["title"], Lift(**each["lift"])) for each in document["themes"])
            found = tuple(Term(**{**each, "lift": Lift(**each["lift"])}) for each in document["found"])
            distinctive = tuple(WordLean(**each) for each in document["distinctive"])
            return cls(**{**document, "themes": themes, "found": found, "distinctive": distinctive})
        except (KeyError, TypeError) as error:
            raise JobError(f"The themes that were found are damaged ({str(error)[:200]}). Look again.") from error


def theme_options(results: Results) -> dict[str, Any]:
    """Return the options of a look at these verdicts: where they are cut, if not at probability 0.5."""
    return {"rules": RULES_VERSION} | ({"cut": results.cut} if results.cut else {})


def look(subject: Subject, options: Mapping[str, Any], reporter: JobReporter) -> Finding:
    """Find themes, words and pairs that go with errors.

    Args:
        subject: The scored split of N reviews.
        options: ``cut``, the logit above which a verdict is positive; 0 when absent.
        reporter: Is told of the phases.

    Returns:
        An ``ErrorThemes`` as a document, and a table of a column for each of ``THEMES``: whether a review has it.
    """
    wrong = replace(subject.results, cut=float(options.get("cut", 0.0))).wrong
    config = subject.predictor.architecture.preprocessing
    reporter.on_phase("Cutting the reviews into words", 0)
    corpus = cut_corpus(subject.rows.texts, config)
    reporter.on_phase("Looking for themes", 0)
    masks = theme_masks(gather_pile(subject.rows, corpus, subject.predictor.encoder))
    reporter.on_phase("Testing words and pairs of words", 0)
    terms = collect_terms(corpus)
    discoveries = find_terms(terms, wrong)
    found = ErrorThemes(
        n=len(wrong),
        errors=int(wrong.sum()),
        themes=tuple(theme_lifts(masks, wrong, config)),
        found=discoveries.found[:MOST_LISTED],
        found_count=len(discoveries.found),
        words_tested=discoveries.words_tested,
        pairs_tested=discoveries.pairs_tested,
        distinctive=tuple(distinctive_words(terms, wrong)),
    )
    return Finding(found.to_document(), pa.table(masks))


def distinctive_words(terms: Terms, wrong: Mask) -> list[WordLean]:
    """Return the words that tell misread reviews (above 0) from the others; none where there is only one kind."""
    right, misread = (terms.word_counts(np.flatnonzero(rows)) for rows in (~wrong, wrong))
    return one_sided_words(right, misread, most=DISTINCTIVE)


def theme_of_table(table: pa.Table, theme: str) -> Mask:
    """Tell which reviews of a look's table have a theme, bool (N)."""
    return np.asarray(table[theme].to_numpy(), np.bool_)


def reviews_with_theme(predictor: Predictor, rows: LabelledTexts, theme: str) -> Mask:
    """Tell which of N reviews have a theme, bool (N), without a look; 25,000 film reviews take a second."""
    config = predictor.architecture.preprocessing
    pile = gather_pile(rows, cut_corpus(rows.texts, config), predictor.encoder)
    return THEMES[theme].find(pile)
