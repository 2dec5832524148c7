"""The demo corpus is the same for ever, is shaped as promised and is neither trivial nor hopeless for a linear model."""

import csv
import hashlib
import io
import re
from collections import Counter
from dataclasses import astuple
from datetime import date

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from core.data.demo import (
    MAX_WORDS,
    MIN_WORDS,
    PHENOMENA,
    SEED,
    SPLIT_SIZES,
    DemoReview,
    generate_reviews,
    write_demo_table,
)

Corpus = dict[str, list[DemoReview]]
PINNED_SHA256 = "5e1c262142c790dde5c6c6effa5b42d5ed0230f03b48d30bf4ca61eb12354444"


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_reviews()


@pytest.fixture(scope="module")
def reviews(corpus: Corpus) -> list[DemoReview]:
    return [review for split in corpus.values() for review in split]


def digest(corpus: Corpus) -> str:
    rows = [repr((split, *astuple(review))) for split, reviews in corpus.items() for review in reviews]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def test_the_corpus_has_not_changed_by_a_byte(corpus: Corpus) -> None:
    assert digest(corpus) == PINNED_SHA256


def test_the_same_seed_gives_the_same_corpus_and_another_seed_another_one() -> None:
    sizes = {"train": 30, "test": 10}
    assert digest(generate_reviews(7, sizes)) == digest(generate_reviews(7, sizes))
    assert digest(generate_reviews(7, sizes)) != digest(generate_reviews(8, sizes))


def test_the_splits_have_the_promised_sizes(corpus: Corpus) -> None:
    assert {split: len(reviews) for split, reviews in corpus.items()} == SPLIT_SIZES == {"train": 2800, "test": 1200}


def test_odd_and_empty_splits_are_served_and_a_negative_size_is_refused() -> None:
    assert {split: len(reviews) for split, reviews in generate_reviews(1, {"a": 3, "b": 0}).items()} == {"a": 3, "b": 0}
    with pytest.raises(ValueError, match="fewer than 0"):
        generate_reviews(1, {"a": -1})


def test_every_text_has_between_5_and_250_words_and_the_lengths_are_spread_out(reviews: list[DemoReview]) -> None:
    words = np.array([len(review.text.split()) for review in reviews])
    assert words.min() >= MIN_WORDS == 5
    assert words.max() <= MAX_WORDS == 250
    assert np.mean(words < 20) > 0.05
    assert 0.4 < np.mean((words >= 30) & (words <= 120)) < 0.8
    assert np.mean(words > 180) > 0.02


def test_labels_are_balanced_within_two_points_and_interleaved(corpus: Corpus) -> None:
    for split in corpus.values():
        assert abs(np.mean([review.label for review in split]) - 0.5) < 0.02
        for start in range(0, len(split), 100):
            assert sum(review.true_label for review in split[start : start + 100]) == 50


def test_one_label_in_twenty_contradicts_the_text(corpus: Corpus) -> None:
    for split in corpus.values():
        assert sum(review.label != review.true_label for review in split) == 0.05 * len(split)


def test_every_phenomenon_is_in_three_percent_of_each_split(corpus: Corpus) -> None:
    for split in corpus.values():
        counts = Counter(name for review in split for name in review.phenomena)
        assert set(counts) == set(PHENOMENA)
        assert min(counts.values()) >= 0.03 * len(split)


def test_phenomena_are_ordered_and_plain_stands_alone(reviews: list[DemoReview]) -> None:
    for review in reviews:
        assert list(review.phenomena) == sorted(set(review.phenomena), key=PHENOMENA.index)
        assert review.phenomena
        assert review.phenomena == ("plain",) or "plain" not in review.phenomena


def test_sarcasm_is_always_negative(reviews: list[DemoReview]) -> None:
    assert {review.true_label for review in reviews if "sarcasm" in review.phenomena} == {0}


def test_no_text_occurs_twice(reviews: list[DemoReview]) -> None:
    assert len({review.text for review in reviews}) == len(reviews)


def test_few_words_of_the_test_split_stand_in_sentences_of_the_train_split(corpus: Corpus) -> None:
    known = {sentence for review in corpus["train"] for sentence in sentences(review.text)}
    asked = [sentence for review in corpus["test"] for sentence in sentences(review.text)]
    shared = sum(len(sentence.split()) for sentence in asked if sentence in known)
    assert shared / sum(len(sentence.split()) for sentence in asked) < 0.15


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?]) |<br /><br />", text)


def test_no_slot_stays_open_and_articles_and_capitals_are_right(reviews: list[DemoReview]) -> None:
    for review in reviews:
        assert not re.search(r"[{}]|  |\.\.|[.!?] [a-z]|^[a-z]", review.text), review.text
        assert not re.search(r"\b[Aa] (?!one\b|user\b)[aeiou]|\b[Aa]n [^aeiouh8]", review.text), review.text
        assert not re.search(r"\b(\w+) \1\b", review.text), review.text


def test_paragraph_breaks_capitals_and_ratings_occur(reviews: list[DemoReview]) -> None:
    assert sum("<br /><br />" in review.text for review in reviews) > 0.1 * len(reviews)
    assert sum(bool(re.search(r"\b[A-Z]{3,}\b", review.text)) for review in reviews) > 0.01 * len(reviews)
    assert sum(bool(re.search(r"\d/10|out of 10", review.text)) for review in reviews) > 0.04 * len(reviews)


def test_stars_follow_the_text_and_three_is_rare(reviews: list[DemoReview]) -> None:
    assert {review.stars for review in reviews} == {1, 2, 3, 4, 5}
    assert np.mean([review.stars == 3 for review in reviews]) < 0.12
    agreement = [(review.stars > 3) == bool(review.true_label) for review in reviews if review.stars != 3]
    assert np.mean(agreement) > 0.9


def test_two_dozen_titles_differ_in_how_well_they_are_liked(reviews: list[DemoReview]) -> None:
    rates = {
        title: np.mean([review.true_label for review in reviews if review.product == title])
        for title in {review.product for review in reviews}
    }
    assert len(rates) == 24
    assert min(rates.values()) < 0.35
    assert max(rates.values()) > 0.65


def test_the_dates_span_eighteen_months_and_one_mood_turns_in_december(reviews: list[DemoReview]) -> None:
    dates = [date.fromisoformat(review.date) for review in reviews]
    assert date(2024, 1, 1) <= min(dates) < max(dates) <= date(2025, 6, 30)
    turning = [review for review in reviews if review.product == "The Lantern Tax"]
    assert np.mean([review.true_label for review in turning if review.date < "2024-12-01"]) > 0.75
    assert np.mean([review.true_label for review in turning if review.date >= "2024-12-01"]) < 0.25


def test_tf_idf_with_logistic_regression_is_good_but_far_from_perfect(corpus: Corpus) -> None:
    vectorizer = TfidfVectorizer(ngram_range=(1, 3), sublinear_tf=True)
    train = vectorizer.fit_transform(texts(corpus["train"]))
    model = LogisticRegression(C=10).fit(train, labels(corpus["train"]))
    accuracy = model.score(vectorizer.transform(texts(corpus["test"])), labels(corpus["test"]))
    assert 0.80 <= accuracy <= 0.93


def test_naive_bayes_weights_with_logistic_regression_are_good_but_far_from_perfect(corpus: Corpus) -> None:
    vectorizer = CountVectorizer(ngram_range=(1, 3), binary=True)
    counts, answers = vectorizer.fit_transform(texts(corpus["train"])), labels(corpus["train"])
    good, bad = (1 + np.asarray(counts[answers == label].sum(axis=0)).ravel() for label in (1, 0))
    weights = np.log(good / good.sum()) - np.log(bad / bad.sum())
    model = LogisticRegression(C=0.1).fit(counts.multiply(weights).tocsr(), answers)
    test = vectorizer.transform(texts(corpus["test"])).multiply(weights).tocsr()
    assert 0.80 <= model.score(test, labels(corpus["test"])) <= 0.93


def texts(reviews: list[DemoReview]) -> list[str]:
    return [review.text for review in reviews]


def labels(reviews: list[DemoReview]) -> np.ndarray:
    return np.array([review.label for review in reviews])


def test_the_table_can_be_read_back_and_holds_no_label(corpus: Corpus) -> None:
    file = io.StringIO(newline="")
    assert write_demo_table(file, SEED) == len(corpus["test"])
    assert "\r" not in file.getvalue()
    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    assert list(rows[0]) == ["review_id", "product", "date", "stars", "review"]
    assert len({row["review_id"] for row in rows}) == len(rows)
    read = [(row["product"], row["date"], int(row["stars"]), row["review"]) for row in rows]
    assert read == [(review.product, review.date, review.stars, review.text) for review in corpus["test"]]
