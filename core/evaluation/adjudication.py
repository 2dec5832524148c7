"""What an accuracy comes to once a reader has judged labels: the cards that are dealt, and the adjudicated score.

The labels of a split are not the truth. A reader judges labels of disagreements (the suspects) and, dealt among them,
of a random sample of agreements. With

- D disagreements, of which d_wrong have a wrong label (the model was right) and d_unsure cannot be told,
- A agreements, of which A_wrong have a wrong label (both were wrong) and A_unsure cannot be told,

the adjudicated accuracy is that on the reviews whose label can be told:

    (A - A_wrong - A_unsure + d_wrong) / (A - A_unsure + D - d_unsure)

Disagreements that were not read count as errors. While too few agreements were read, A_wrong and A_unsure count only
what was seen, so that the figure is "at most": no reading of agreements can raise it. From a sample of them both are
estimated.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.evaluation.intervals import wilson_interval
from core.evaluation.selection import Mask

UNREAD, LABEL_RIGHT, LABEL_WRONG, CANNOT_TELL = 0, 1, 2, 3
SUSPECTS_AN_AGREEMENT = 4
LEAST_AGREEMENTS = 30  # read, below which a share of them says too little
SEED = 0
# For a count of 1, 2 and 3: half the 5 % quantile of chi-squared with twice the count of degrees of freedom.
LOW_ENDS = (0.0513, 0.3554, 0.8177)
METHOD = "Wilson on the share of agreements whose label is wrong, and of those that cannot be told, carried through"


@dataclass(frozen=True)
class Tally:
    """How the labels of some reviews were judged."""

    right: int
    wrong: int
    unsure: int

    @property
    def n(self) -> int:
        """Return how many were judged."""
        return self.right + self.wrong + self.unsure

    @property
    def decided(self) -> int:
        """Return of how many the label could be told."""
        return self.right + self.wrong


@dataclass(frozen=True)
class Adjudication:
    """What judged labels make of a split's accuracy; undefined figures are None.

    Attributes:
        disagreements: D.
        agreements: A.
        suspects: How the disagreements that were read were judged.
        seen: How the agreements that were read were judged, however the reader came to them.
        sample: Of these, the random sample: the first agreements of the deal, without a gap.
    """

    disagreements: int
    agreements: int
    suspects: Tally
    seen: Tally
    sample: Tally

    @property
    def n(self) -> int:
        """Return how many reviews the split has."""
        return self.disagreements + self.agreements

    @property
    def raw(self) -> float | None:
        """Return the accuracy by the labels as they are."""
        return self.agreements / self.n if self.n else None

    @property
    def is_estimate(self) -> bool:
        """Tell whether enough agreements were read to say more than "at most"."""
        return self.sample.n >= min(LEAST_AGREEMENTS, self.agreements) and self._has_shares

    @property
    def _has_shares(self) -> bool:
        return self.sample.decided > 0 or not self.agreements

    @property
    def value(self) -> float | None:
        """Return the adjudicated accuracy: an estimate, else the most that it can be as far as labels were read."""
        if not self.is_estimate:
            return self._at_most
        is_told = self.agreements or self.disagreements > self.suspects.unsure
        return self._accuracy(self._wrong_share, self._unsure_share) if is_told else None

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the estimate; None while there is none.

        Two shares are estimated: of wrong labels among the agreements that can be told, and of those that cannot. Each
        has its Wilson interval, with the effective sample size m / (1 - m / A) of a draw without replacement from A
        (Kish 1965, Survey Sampling). Wrong labels are rare, where Wilson's low end misses too often: for counts of 1 to
        3 it is the one of Brown, Cai & DasGupta (2001, Stat. Sci. 16). No end contradicts what was read. The
        deviations that they bring to the accuracy are independent and add in squares (Newcombe 1998, Stat. Med. 17; Zou
        & Donner 2008, Stat. Med. 27). It says how far the unread agreements are unknown, not how another set of reviews
        would turn out.
        """
        if not self.is_estimate or self.value is None:
            return None
        if not self.agreements:
            return self.value, self.value
        sample, centre = self.sample, self.value
        unsure = self._share_interval(sample.unsure, sample.n, self.agreements, self.seen.unsure, self.seen.decided)
        decidable = max(round(self.agreements * (1 - self._unsure_share)), sample.decided)
        wrong = self._share_interval(sample.wrong, sample.decided, decidable, self.seen.wrong, self.seen.right)
        by_wrong = [self._accuracy(share, self._unsure_share) for share in wrong]
        by_unsure = [self._accuracy(self._wrong_share, share) for share in unsure]
        below = math.hypot(centre - min(by_wrong), centre - min(by_unsure))
        above = math.hypot(max(by_wrong) - centre, max(by_unsure) - centre)
        return max(centre - below, 0.0), min(centre + above, 1.0)

    @property
    def _at_most(self) -> float | None:
        told = self.n - self.suspects.unsure - self.seen.unsure
        right = self.agreements - self.seen.wrong - self.seen.unsure + self.suspects.wrong
        return right / told if told else None

    @property
    def _wrong_share(self) -> float:
        return self.sample.wrong / self.sample.decided if self.sample.decided else 0.0

    @property
    def _unsure_share(self) -> float:
        return self.sample.unsure / self.sample.n if self.sample.n else 0.0

    def _accuracy(self, wrong_share: float, unsure_share: float) -> float:
        """Return the accuracy for a share of agreements that cannot be told, and of wrong labels among the others."""
        decidable = self.agreements * (1 - unsure_share)
        told = decidable + self.disagreements - self.suspects.unsure
        return (decidable * (1 - wrong_share) + self.suspects.wrong) / told

    @staticmethod
    def _share_interval(count: int, n: int, population: int, seen: int, seen_without: int) -> tuple[float, float]:
        """Return Wilson's interval of a share of a finite population, a sample of which was drawn without replacement.

        ``seen`` of the population are known to have what is counted, ``seen_without`` not to have it.
        """
        share = count / n
        if n >= population:
            return share, share
        effective = n / (1 - n / population)
        low, high = wilson_interval(share * effective, effective)
        if 1 <= count <= len(LOW_ENDS):
            low = min(low, LOW_ENDS[count - 1] / n)
        least, most = seen / population, 1 - seen_without / population
        return min(max(low, least), share), max(min(high, most), share)


def order_agreements(wrong: Mask) -> NDArray[np.int64]:
    """Return all agreements in the order in which they are dealt, int64 (A).

    One order of all N reviews, fixed by the seed, gives that of any model's agreements: each is uniform, and two models
    share most of what was read.
    """
    order = np.random.default_rng(SEED).permutation(len(wrong))
    return order[~wrong[order]].astype(np.int64)


def deal(suspects: NDArray[np.int64], wrong: Mask) -> NDArray[np.int64]:
    """Return the reviews that a reader is to judge, in order: suspects, with agreements at random places among them.

    There is one agreement for four suspects, and at least ``LEAST_AGREEMENTS`` as far as there are so many. A place
    does not tell which a card is.

    Args:
        suspects: int64 (S), most doubtful first; a misread review each.
        wrong: Which reviews are misread, bool (N).

    Returns:
        int64 (S + K).
    """
    agreements = order_agreements(wrong)
    count = min(max(-(-len(suspects) // SUSPECTS_AN_AGREEMENT), LEAST_AGREEMENTS), len(agreements))
    cards = np.empty(len(suspects) + count, np.int64)
    is_agreement = np.zeros(len(cards), np.bool_)
    is_agreement[np.random.default_rng(SEED).permutation(len(cards))[:count]] = True
    cards[is_agreement], cards[~is_agreement] = agreements[:count], suspects
    return cards


def adjudicate(wrong: Mask, judged: NDArray[np.int8]) -> Adjudication:
    """Return what judged labels make of the accuracy.

    Args:
        wrong: Which reviews the model read otherwise than they are labelled, bool (N).
        judged: Of each review ``UNREAD``, ``LABEL_RIGHT``, ``LABEL_WRONG`` or ``CANNOT_TELL``, int8 (N).
    """
    dealt = judged[order_agreements(wrong)]
    unread = np.flatnonzero(dealt == UNREAD)
    # A reader who leaves one out may do so because of what it says: only what was read without a gap is a random draw.
    sample = dealt[: unread[0]] if len(unread) else dealt
    return Adjudication(int(wrong.sum()), int((~wrong).sum()), _tally(judged[wrong]), _tally(dealt), _tally(sample))


def _tally(judged: NDArray[np.int8]) -> Tally:
    return Tally(*(int((judged == value).sum()) for value in (LABEL_RIGHT, LABEL_WRONG, CANNOT_TELL)))
