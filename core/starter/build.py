"""Rebuild the shipped model and its card: ``python -m core.starter.build`` (``make starter``)."""

import sys

from core import settings
from core.config import LABELS, RunConfig
from core.data.labelled import fingerprint
from core.data.sources import load_columns
from core.errors import ReviewscopeError
from core.evaluation.metrics import METRICS
from core.files import write_bytes
from core.models.model_file import load_model_file, save_model
from core.prediction.evaluating import Evaluation, EvaluationJob, describe_trust, evaluate_split, load_results
from core.prediction.predictor import Predictor
from core.runs import RunResult
from core.training.job import train

CARD_FILE = settings.STARTER_FILE.with_name("MODEL_CARD.md")
LARGEST_BYTES = 8_500_000


def main(preset: str = "fast") -> None:
    """Train a preset on IMDB, store it in half precision, score the test split once, and write the card."""
    run, result = train(preset, "imdb", name="starter-build")
    trained = load_model_file(run.model_file)
    architecture = trained.architecture.model_copy(update={"dtype": "F16"})
    save_model(settings.STARTER_FILE, trained.model, trained.encoder, architecture, trained.calibration)
    size = settings.STARTER_FILE.stat().st_size
    if size > LARGEST_BYTES:
        raise ReviewscopeError(f"The starter has {size:,} bytes; at most {LARGEST_BYTES:,} may be shipped.")

    splits = load_columns(run.settings.config.data)
    predictor = Predictor.load(settings.STARTER_FILE)
    evaluation = evaluate_split(predictor, splits["test"], fingerprint(splits), "test")
    write_bytes(CARD_FILE, model_card(predictor, run.settings.config, preset, result, evaluation, size).encode())
    print(f"{settings.STARTER_FILE.name}: {size:,} bytes, test accuracy {evaluation.metrics['accuracy'].value:.4f}")


def model_card(
    predictor: Predictor, config: RunConfig, preset: str, result: RunResult, evaluation: Evaluation, size: int
) -> str:
    """Return the card as Markdown."""
    rows = []
    for name, entry in METRICS.items():
        metric = evaluation.metrics[name]
        rows.append(f"| {entry.title} | {metric.value:.4f} | {metric.low:.4f} to {metric.high:.4f} | {metric.method} |")
    preprocessing, model = predictor.architecture.preprocessing, predictor.architecture.model
    figures = "\n".join(rows)
    calibration = predictor.calibration
    assert calibration is not None  # the preset holds validation back
    trust = describe_trust(load_results(EvaluationJob(evaluation.folder).results_file), calibration)
    before, after = f"{trust['ece_before']:.4f}", f"{trust['ece_after']:.4f}"
    teacher = config.training.teacher
    taught = f", and its 50,000 reviews without a label, as the preset `{teacher}` reads them" if teacher else ""
    return f"""# The starter model

A linear model on word n-grams, weighted by naive-Bayes log-count ratios (preset `{preset}`). It reads an English film
review and gives the probability that it is {LABELS[1]}. `make starter` rebuilds this file and the model.

| | |
| --- | --- |
| file | `starter.safetensors`, {size:,} bytes, half precision |
| SHA-256 of weights, vocabulary and architecture | `{predictor.sha256}` |
| trained on | 22,500 reviews of the Large Movie Review Dataset's training split (Maas et al. 2011){taught} |
| passes | {result.best_epoch} of {result.epochs}, chosen on the other 2,500 reviews of that split |
| accuracy on those 2,500 | {result.valid_accuracy:.4f} |
| temperature | {calibration.temperature:.4f}, fitted on those {calibration.n:,} |
| weights | {result.parameters:,} |
| preprocessing | `{preprocessing.model_dump_json()}` |
| model | `{model.model_dump_json()}` |

## Figures on the {evaluation.n:,} reviews of the test split

Scored once, after everything was chosen.

| figure | value | 95 % interval | method |
| --- | --- | --- | --- |
{figures}

The calibration error is {before} of the probabilities as they are and {after} when the logits are divided by the
temperature.

123 texts of the test split also stand in the training split.

## Limits

- English film reviews of about 230 words are what it learnt from. Elsewhere (products, tweets, other languages) it is
  less accurate. The file keeps what the validation reviews looked like, so that a scored table is told how it differs
  and what accuracy to expect; how far that can be believed stands in docs/experiments.md.
- It knows two labels only. A neutral text gets one of them with a middling probability.
- Sarcasm, and praise for one thing inside blame for another, mislead it.
- The probability that it gives is the raw one. The calibrated one is that of its logit divided by the temperature, and
  is calibrated on film reviews only.

## Data and licence

The data set carries no licence and asks for citation (Maas, Daly, Pham, Huang, Ng & Potts, "Learning Word Vectors for
Sentiment Analysis", ACL 2011). The reviews belong to their authors and are not included: the file holds single words
and hashed n-gram weights only, each from at least {getattr(model, "min_reviews", 0)} reviews. Code: MIT.
"""


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except ReviewscopeError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
