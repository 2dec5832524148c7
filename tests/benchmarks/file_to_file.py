"""Score a table from file to file with a peer of ``predict``, as its users would write it: one process, start included.

``python -m tests.benchmarks.file_to_file sklearn|fasttext MODEL IN.csv OUT.csv``
"""

import re
import sys

import pandas as pd


def main(peer: str, model: str, source: str, target: str) -> None:
    """Read, score and write."""
    table = pd.read_csv(source, dtype=str, keep_default_na=False)
    table["probability"] = {"sklearn": score_sklearn, "fasttext": score_fasttext}[peer](model, table["text"].tolist())
    table["sentiment"] = (table["probability"] > 0.5).map({True: "Positive", False: "Negative"})
    table["confidence"] = table["probability"].where(table["probability"] > 0.5, 1 - table["probability"])
    table.to_csv(target, index=False)


def score_sklearn(model: str, texts: list[str]) -> list[float]:
    """Return the probabilities of a pipeline that joblib has kept."""
    import joblib

    probabilities: list[float] = joblib.load(model).predict_proba(texts)[:, 1].tolist()
    return probabilities


def score_fasttext(model: str, texts: list[str]) -> list[float]:
    """Return the probabilities of a model that fastText has kept."""
    import fasttext

    fasttext.FastText.eprint = lambda *_: None
    labels, shares = fasttext.load_model(model).predict([clean(text) for text in texts])
    found = zip(labels, shares, strict=True)
    return [float(share[0] if label[0] == "__label__1" else 1 - share[0]) for label, share in found]


def clean(text: str) -> str:
    """Return a text as fastText's tutorial cleans it."""
    return " ".join(re.sub(r"([.!?,'/()])", r" \1 ", text.replace("<br />", " ").lower()).split())


if __name__ == "__main__":
    main(*sys.argv[1:])
