"""The adjudicated score agrees with hand-worked numbers, and its interval covers where the truth is known."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from core.evaluation.adjudication import (
    CANNOT_TELL,
    LABEL_RIGHT,
    LABEL_WRONG,
    LEAST_AGREEMENTS,
    LOW_ENDS,
    UNREAD,
    Adjudication,
    Tally,
    adjudicate,
    deal,
    order_agreements,
)
from core.evaluation.intervals import wilson_interval

NONE = Tally(0, 0, 0)


def split_of(disagreements: int, agreements: int) -> NDArray[np.bool_]:
    return np.repeat([True, False], [disagreements, agreements])


def test_with_nothing_read_it_is_the_raw_accuracy() -> None:
    found = adjudicate(split_of(20, 80), np.zeros(100, np.int8))
    assert found.raw == found.value == 0.8 and not found.is_estimate and found.interval is None


def test_wrong_labels_of_suspects_count_as_right_and_what_cannot_be_told_is_left_out() -> None:
    judged = np.zeros(100, np.int8)
    judged[:10] = [LABEL_WRONG] * 6 + [LABEL_RIGHT] * 3 + [CANNOT_TELL]
    found = adjudicate(split_of(20, 80), judged)
    assert found.suspects == Tally(3, 6, 1)
    assert found.value == pytest.approx((80 + 6) / 99) and found.interval is None


def test_agreements_that_were_read_can_only_lower_it_before_there_is_an_estimate() -> None:
    judged = np.zeros(100, np.int8)
    judged[:6] = LABEL_WRONG
    judged[[30, 40, 50]] = [LABEL_WRONG, LABEL_WRONG, CANNOT_TELL]
    found = adjudicate(split_of(20, 80), judged)
    assert found.value == pytest.approx((80 + 6 - 2 - 1) / 99) and not found.is_estimate


def test_a_random_sample_of_agreements_turns_it_into_an_estimate_worked_by_hand() -> None:
    found = Adjudication(200, 1_000_000_000, Tally(50, 100, 0), Tally(97, 3, 0), Tally(97, 3, 0))
    assert found.is_estimate and found.interval is not None
    assert found.value == pytest.approx(0.97, abs=1e-6)
    low, high = 0.8177 / 100, wilson_interval(3, 100)[1]
    unsure_high = wilson_interval(0, 100)[1]
    assert found.interval == pytest.approx((1 - high, 1 - low), abs=1e-5), "with so many agreements nothing else counts"
    assert unsure_high > 0.03, "and that some might not be told moves nothing when suspects are so few"


def test_the_low_ends_for_rare_wrong_labels_are_those_of_the_poisson_distribution() -> None:
    for count, end in enumerate(LOW_ENDS, 1):
        assert end == pytest.approx(stats.chi2.ppf(0.05, 2 * count) / 2, abs=1e-4)


def test_the_estimate_counts_suspects_and_the_share_that_cannot_be_told() -> None:
    found = Adjudication(200, 800, Tally(100, 60, 40), Tally(32, 4, 4), Tally(32, 4, 4))
    decidable = 800 * 0.9
    assert found.value == pytest.approx((decidable * 32 / 36 + 60) / (decidable + 160))


def test_when_every_agreement_was_read_nothing_is_left_unknown() -> None:
    judged = np.full(100, LABEL_RIGHT, np.int8)
    judged[20:25], judged[25:27], judged[:4] = LABEL_WRONG, CANNOT_TELL, LABEL_WRONG
    found = adjudicate(split_of(20, 80), judged)
    assert found.value == pytest.approx((73 + 4) / 98)
    assert found.interval == pytest.approx((found.value, found.value))


def test_no_end_of_the_interval_contradicts_what_was_read() -> None:
    found = Adjudication(0, 100, NONE, Tally(80, 10, 0), Tally(80, 10, 0))
    assert found.interval is not None
    assert found.interval[0] >= 0.8 and found.interval[1] <= 0.9


@pytest.mark.parametrize("count", [LEAST_AGREEMENTS - 1, LEAST_AGREEMENTS])
def test_too_few_agreements_give_no_estimate(count: int) -> None:
    wrong, judged = split_of(20, 300), np.zeros(320, np.int8)
    judged[order_agreements(wrong)[:count]] = LABEL_RIGHT
    assert adjudicate(wrong, judged).is_estimate == (count >= LEAST_AGREEMENTS)


def test_where_there_are_fewer_agreements_all_of_them_do() -> None:
    wrong, judged = split_of(5, 6), np.zeros(11, np.int8)
    judged[order_agreements(wrong)[:5]] = LABEL_RIGHT
    assert not adjudicate(wrong, judged).is_estimate
    judged[~wrong] = LABEL_RIGHT
    assert adjudicate(wrong, judged).is_estimate


def test_agreements_read_out_of_turn_are_no_random_sample() -> None:
    wrong, judged = split_of(20, 300), np.zeros(320, np.int8)
    order = order_agreements(wrong)
    judged[order[10:]] = LABEL_WRONG
    assert adjudicate(wrong, judged).sample.n == 0
    judged[order[:10]] = LABEL_RIGHT
    assert adjudicate(wrong, judged).sample.n == 300


@pytest.mark.parametrize("wrong", [[], [True], [False], [True] * 50, [False] * 50], ids=len)
def test_no_review_or_one_or_one_outcome_gives_no_error(wrong: list[bool]) -> None:
    mask = np.array(wrong, np.bool_)
    for value in (UNREAD, LABEL_RIGHT, LABEL_WRONG, CANNOT_TELL):
        found = adjudicate(mask, np.full(len(mask), value, np.int8))
        if not len(mask) or value == CANNOT_TELL:
            assert found.value is None and found.interval is None
        elif value == UNREAD:
            assert found.value == found.raw
        else:
            assert found.value == (float(not mask[0]) if value == LABEL_RIGHT else float(mask[0]))


def test_the_deal_holds_every_suspect_in_order_and_one_agreement_for_four() -> None:
    wrong = split_of(400, 2_000)
    suspects = np.random.default_rng(3).permutation(400)
    cards = deal(suspects, wrong)
    assert len(cards) == 500 == len(set(cards.tolist()))
    assert cards[wrong[cards]].tolist() == suspects.tolist()
    assert cards[~wrong[cards]].tolist() == order_agreements(wrong)[:100].tolist()
    assert deal(suspects, wrong).tolist() == cards.tolist()


def test_the_place_of_a_card_does_not_tell_what_it_is() -> None:
    wrong = split_of(4_000, 20_000)
    is_agreement = ~wrong[deal(np.arange(4_000), wrong)]
    for begin in range(0, 5_000, 1_000):
        assert 150 <= is_agreement[begin : begin + 1_000].sum() <= 250, "they are spread over the whole deal"
    after_four = is_agreement[4:][~np.lib.stride_tricks.sliding_window_view(is_agreement[:-1], 4).any(axis=1)]
    assert 0.15 < after_four.mean() < 0.25, "after four suspects an agreement is no likelier than ever"


def test_few_suspects_are_dealt_with_enough_agreements_for_an_estimate() -> None:
    assert len(deal(np.arange(8), split_of(8, 1_000))) == 8 + LEAST_AGREEMENTS
    assert len(deal(np.arange(8), split_of(8, 12))) == 20
    assert len(deal(np.arange(0), split_of(0, 0))) == 0


def test_two_models_that_agree_on_most_share_most_of_what_was_read() -> None:
    draw = np.random.default_rng(0)
    one = draw.random(5_000) < 0.1
    other = one ^ (draw.random(5_000) < 0.03)
    shared = set(order_agreements(one)[:100].tolist()) & set(order_agreements(other)[:100].tolist())
    assert len(shared) > 85


def test_the_first_agreements_are_a_uniform_draw() -> None:
    """Over many patterns of errors each agreement is dealt first equally often, by halves of the data."""
    draw = np.random.default_rng(1)
    firsts = [order_agreements(draw.random(1_000) < 0.2)[:30].mean() for _ in range(300)]
    assert np.mean(firsts) == pytest.approx(499.5, abs=60)


def cover(draw: np.random.Generator, share_wrong: float, share_unsure: float, errors: float, read: int) -> bool:
    """Draw a split with known labels, read all suspects and some agreements; tell whether the interval covers."""
    n = 1_200
    wrong = split_of(round(n * errors), n - round(n * errors))
    told = np.where(draw.random(n) < share_wrong, LABEL_WRONG, LABEL_RIGHT)
    truth = np.where(draw.random(n) < share_unsure, CANNOT_TELL, told).astype(np.int8)
    truth[wrong] = draw.choice([LABEL_RIGHT, LABEL_WRONG, CANNOT_TELL], int(wrong.sum()), p=[0.6, 0.3, 0.1])
    mixed = draw.permutation(n)  # the deal's own order is fixed, so the reviews are shuffled
    wrong, truth = wrong[mixed], truth[mixed]
    judged = np.where(wrong, truth, UNREAD).astype(np.int8)
    dealt = order_agreements(wrong)[:read]
    judged[dealt] = truth[dealt]
    interval = adjudicate(wrong, judged).interval
    right = (~wrong & (truth == LABEL_RIGHT)) | (wrong & (truth == LABEL_WRONG))
    assert interval is not None
    return bool(interval[0] <= right.sum() / (truth != CANNOT_TELL).sum() <= interval[1])


SETTINGS = list(itertools.product((0.005, 0.01, 0.05), (0.0, 0.1), (0.08, 0.2), (30, 100, 500)))


@pytest.mark.parametrize(("share_wrong", "share_unsure", "errors", "read"), SETTINGS[::5])
def test_the_interval_covers_what_reading_everything_would_give(
    share_wrong: float, share_unsure: float, errors: float, read: int
) -> None:
    draw = np.random.default_rng(0)
    covered = np.mean([cover(draw, share_wrong, share_unsure, errors, read) for _ in range(400)])
    assert covered >= 0.92


@pytest.mark.slow
def test_over_many_draws_the_interval_covers_in_about_95_of_100() -> None:
    draw = np.random.default_rng(1)
    shares = [np.mean([cover(draw, *setting) for _ in range(1_000)]) for setting in SETTINGS]
    assert min(shares) >= 0.93 and 0.95 <= np.mean(shares) <= 0.98, dict(zip(SETTINGS, shares, strict=True))
