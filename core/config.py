"""What a run is made of: data + preprocessing + model + training, and the presets that fill them in.

Every field carries its title, help and bounds; that one statement makes the check, the command line's help and,
later, the form. Unknown keys are refused.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict

from core.errors import ConfigError

LABELS = ("negative", "positive")
Meaning = Literal["negative", "positive", "left out"]
CORRECTIONS_ID = "c[0-9a-f]{11}"


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Settings(Section):
    """Settings of a run; true is no number and "5" is none either."""

    model_config = ConfigDict(strict=True)


# Marks a field that came after the first version. It is left out of whatever is hashed as long as it has its default,
# so that the names of earlier files hold: ``plain_document``.
LATER: JsonDict = {"later": True}


class DataConfig(Settings):
    """Where the labelled reviews come from and how validation is cut off."""

    source: Literal["imdb", "demo", "table"] = Field("imdb", title="Data set", description="IMDB, demo or own table.")
    path: str | None = Field(None, title="Table", description="The labelled table's file, for the source 'table'.")
    text_column: str | None = Field(None, title="Text column", description="Guessed when empty.")
    label_column: str | None = Field(None, title="Label column", description="Guessed when empty.")
    label_map: dict[str, Meaning] | None = Field(
        None, title="Labels",
        description="How each value of the label column is read, whatever its case; rows left out are dropped before "
        "the test split is cut. Empty: the usual spellings of negative and positive.",
    )  # fmt: skip
    validation_fraction: float = Field(
        0.1, ge=0.0, le=0.5, title="Validation share",
        description="Share of the training split held back, stratified by label. 0 holds nothing back and keeps the "
        "weights of the last epoch.",
    )  # fmt: skip
    split_seed: int | None = Field(
        None, ge=0, lt=2**32, title="Seed of the split",
        description="Draws the validation reviews. Empty: the run's own seed does.",
    )  # fmt: skip
    limit: int | None = Field(
        None, ge=8, title="Training reviews",
        description="Train on this many reviews only, drawn by seed. The vocabulary still counts the whole split.",
    )  # fmt: skip
    corrections: str | None = Field(
        None, pattern=f"^{CORRECTIONS_ID}$", title="Corrections",
        description="Labels of the training set that a reader judged wrong, corrected: the id of a change list. Empty: "
        "the labels as they came.",
    )  # fmt: skip


class PreprocessingConfig(Settings):
    """From a text to words."""

    lowercase: bool = Field(True, title="Lowercase", description="Fold capitals, so that 'Great' and 'great' agree.")
    strip_html: bool = Field(True, title="Remove HTML tags", description="Put a space where a tag such as <br /> is.")
    characters: Literal["letters", "punctuation"] = Field(
        "letters", title="Characters kept",
        description="letters: only a to z stay, all else is deleted. punctuation: digits and apostrophes stay too, and "
        "every other character becomes a word of its own.",
    )  # fmt: skip
    max_words: int = Field(
        10_000, ge=1, le=1_000_000, title="Vocabulary", description="How many of the most frequent words are known."
    )
    min_frequency: int = Field(
        5, ge=1, le=1_000, title="Least frequency", description="A word seen less often in training is unknown."
    )
    max_length: int | None = Field(
        256, ge=1, le=10_000, title="Most words", description="A longer text loses its end. Empty: no limit."
    )


class ModelSettings(Settings):
    """What every model's settings say of themselves."""

    @property
    def pretraining(self) -> str | None:
        """Return what is learnt from texts alone before the training, a name of ``PRETRAINING``, or None."""
        return None


class BiLSTMConfig(ModelSettings):
    """A bidirectional LSTM over word embeddings."""

    kind: Literal["bilstm"] = "bilstm"
    embedding_dim: int = Field(128, ge=1, le=2_048, title="Embedding width", description="Numbers a word becomes.")
    hidden_size: int = Field(256, ge=1, le=2_048, title="Hidden width", description="LSTM units in each direction.")
    num_layers: int = Field(2, ge=1, le=8, title="Layers", description="Stacked bidirectional layers.")
    dropout: float = Field(
        0.5, ge=0.0, le=0.95, title="Dropout", description="Share of values silenced between layers while training."
    )
    pooling: Literal["last", "max"] = Field(
        "last", title="Pooling",
        description="last: the final state of each direction speaks for the text. max: each unit's strongest moment "
        "does.",
    )  # fmt: skip


class NgramConfig(ModelSettings):
    """A linear model on hashed word n-grams, weighted by naive-Bayes log-count ratios (Wang & Manning 2012)."""

    kind: Literal["ngram"] = "ngram"
    max_n: int = Field(3, ge=1, le=5, title="Longest n-gram", description="Single words up to this many in a row.")
    bucket_bits: int = Field(
        22, ge=10, le=26, title="Bucket bits", description="n-grams share 2 to this power buckets by their hash."
    )
    min_reviews: int = Field(
        3, ge=1, le=1_000, title="Least reviews",
        description="An n-gram counts when this many training reviews hold it; fewer would remember single reviews.",
    )  # fmt: skip
    smoothing: float = Field(
        1.0, gt=0.0, le=100.0, title="Smoothing", description="Added to each count before the log ratio is taken."
    )


KINDS = ("bilstm", "ngram")
ModelConfig = Annotated[BiLSTMConfig | NgramConfig, Field(discriminator="kind")]


class TrainingConfig(Settings):
    """How the weights are found."""

    epochs: int = Field(5, ge=1, le=1_000, title="Epochs", description="Passes over the training reviews.")
    batch_size: int = Field(64, ge=1, le=4_096, title="Batch size", description="Reviews in one step.")
    learning_rate: float = Field(0.001, gt=0.0, title="Learning rate", description="Adam's step size.")
    schedule: Literal["constant", "linear"] = Field(
        "constant", title="Schedule", description="linear: the learning rate falls evenly to zero over all steps."
    )
    clip_norm: float = Field(
        1.0, gt=0.0, title="Gradient clipping", description="A step's gradient is never longer than this."
    )
    best_by: Literal["accuracy", "loss"] = Field(
        "accuracy", title="Best by",
        description="Which validation figure says that an epoch's weights are the best. Loss is the finer measure "
        "where validation is small.",
    )  # fmt: skip
    max_steps: int | None = Field(
        None, ge=1, title="Most steps",
        description="End after this many steps though epochs are left; a linear schedule ends there too. A time budget "
        "is written down as this.",
    )  # fmt: skip
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", title="Precision",
        description="bf16: matrix products in 16 bits, on a CPU or GPU that has the instructions. Faster there; the "
        "weights themselves stay in 32 bits.",
    )  # fmt: skip
    patience: int | None = Field(
        None, ge=1, title="Early stopping",
        description="Stop after this many epochs in a row that were no better on validation. Empty: never.",
    )  # fmt: skip
    teacher: Literal["strong"] | None = Field(
        None, title="Teacher",
        description="A preset that is trained first; its probabilities for the reviews without a label are learnt from "
        "too (distillation). Empty: labels alone.", json_schema_extra=LATER,
    )  # fmt: skip
    seed: int = Field(0, ge=0, lt=2**32, title="Seed", description="Fixes the split, the order and every draw.")


class RunConfig(Section):
    """All that decides a run's weights."""

    data: DataConfig = DataConfig()
    preprocessing: PreprocessingConfig = PreprocessingConfig()
    model: ModelConfig = BiLSTMConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def reads_unlabelled(self) -> bool:
        """Tell whether the training reads reviews without a label, where the data has any."""
        return self.training.teacher is not None or self.model.pretraining not in (None, "file")

    @property
    def split_seed(self) -> int:
        """Return the seed that the validation reviews are drawn by."""
        return self.training.seed if self.data.split_seed is None else self.data.split_seed


@dataclass(frozen=True)
class Preset:
    """A named starting point.

    Attributes:
        summary: One sentence for the person who chooses.
        config: Its settings, for the IMDB data; ``with_data`` points them elsewhere.
    """

    summary: str
    config: RunConfig


PRESETS: Mapping[str, Preset] = {
    "fast": Preset(
        "Word n-grams up to three in a row, weighted and linear: seconds to train, and more accurate than the LSTMs.",
        RunConfig(
            preprocessing=PreprocessingConfig(
                characters="punctuation", max_words=100_000, min_frequency=3, max_length=None
            ),
            model=NgramConfig(),
            training=TrainingConfig(epochs=4, batch_size=256, learning_rate=0.05, schedule="linear", best_by="loss"),
        ),
    ),
    "compact": Preset(
        "A small bidirectional LSTM that a laptop trains in minutes.",
        RunConfig(
            preprocessing=PreprocessingConfig(max_words=20_000, min_frequency=3, max_length=400),
            model=BiLSTMConfig(embedding_dim=100, hidden_size=96, num_layers=1, pooling="max"),
            training=TrainingConfig(epochs=4, learning_rate=0.002, schedule="linear", patience=2),
        ),
    ),
    "classic": Preset(
        "The script's own network and settings: two bidirectional LSTM layers of 256. Slow without a GPU.",
        RunConfig(),
    ),
}


def preset_config(name: str) -> RunConfig:
    """Return a preset's settings.

    Raises:
        ConfigError: No preset has that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"There is no preset {name!r}. Choose one of: {', '.join(PRESETS)}.")
    return PRESETS[name].config


def with_data(
    config: RunConfig,
    data: str,
    text_column: str | None = None,
    label_column: str | None = None,
    label_map: Mapping[str, Meaning] | None = None,
    corrections: str | None = None,
) -> RunConfig:
    """Return a config that reads "imdb", "demo", or the labelled table at a path, its labels read by ``label_map``.

    ``corrections`` names a change list of that data; without one, its labels are as they came.

    Raises:
        ConfigError: A column or a label map is given for a data set that is not a table.
    """
    if data not in ("imdb", "demo"):
        source: dict[str, str | None] = {"source": "table", "path": os.path.abspath(data)}
    elif text_column or label_column:
        raise ConfigError(f"--text-column and --label-column belong to a table; {data} has its own columns.")
    elif label_map is not None:
        raise ConfigError(f"--labels belongs to a table; {data} has its own labels.")
    else:
        source = {"source": data, "path": None}
    columns = {"text_column": text_column, "label_column": label_column}
    labels = {"label_map": None if label_map is None else dict(label_map), "corrections": corrections}
    return config.model_copy(update={"data": config.data.model_copy(update={**source, **columns, **labels})})


def with_settings(config: RunConfig, assignments: Iterable[str]) -> RunConfig:
    """Return a config with ``section.field=value`` assignments applied and checked.

    Values are read as JSON (``5``, ``0.1``, ``true``, ``null``); what is not JSON is taken as text.

    Raises:
        ConfigError: An assignment has no ``=``, names an unknown field, or its value is out of bounds.
    """
    document = config.model_dump()
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        section, _, field = path.strip().partition(".")
        if not equals or not field:
            raise ConfigError(f"--set {assignment!r}: expected section.field=value, for example training.epochs=3.")
        if section not in document or field not in document[section]:
            raise ConfigError(f"There is no setting {path!r}. Known: {', '.join(_paths(document))}.")
        document[section][field] = _parse_value(value)
    return parse_config(document)


def repeat_with_seeds(config: RunConfig, count: int) -> list[RunConfig]:
    """Return a config with ``count`` seeds from its own upwards, all validated on the same reviews.

    Raises:
        ConfigError: There is no such seed.
    """
    if count == 1:
        return [config]
    split = f"data.split_seed={config.split_seed}"
    return [with_settings(config, [split, f"training.seed={config.training.seed + number}"]) for number in range(count)]


def parse_config(document: Any) -> RunConfig:
    """Return the checked config that a plain document describes.

    Raises:
        ConfigError: A field is missing, unknown or out of bounds; the message names each one.
    """
    try:
        return RunConfig.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"Settings out of bounds: {describe_faults(error)}.") from error


def plain_document(settings: Settings) -> dict[str, Any]:
    """Return settings for JSON, without what came later and says nothing new."""
    later = [
        name
        for name, field in type(settings).model_fields.items()
        if field.json_schema_extra == LATER and getattr(settings, name) == field.default
    ]
    return settings.model_dump(mode="json", exclude=set(later))


def describe_faults(error: ValidationError) -> str:
    """Return a validation error's faults in one line: ``training.epochs: Input should be ... (found 0)``."""
    faults = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"] if part not in KINDS)
        faults.append(f"{where}: {fault['msg']} (found {str(fault['input'])[:80]!r})")
    return "; ".join(faults)


def _paths(document: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [f"{section}.{field}" for section, fields in document.items() for field in fields]


def _parse_value(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
