"""What a run is made of: data + preprocessing + model + training, and the presets that fill them in.

Every field carries its title, help and bounds; that one statement makes the check, the command line's help and,
later, the form. Unknown keys are refused.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.config import JsonDict

from core.errors import ConfigError

LABELS = ("negative", "positive")
OWN_TOKENS = ("ngram", "document_vectors")  # kinds that join words in a way of their own
NO_PIECES = (
    "Byte-pair tokens are not offered for this kind of model, which has a way of its own to read words. Leave "
    "preprocessing.tokens at words, or choose a model that reads a text token by token: bilstm or transformer."
)
MOST_PIECES = 254  # and two marks are a power of two
DEFAULT_BASE = "sentence-transformers/all-MiniLM-L6-v2"
PIECES_OF_A_BASE = (
    "A pretrained encoder reads pieces of words, of its own, and so many at most: set preprocessing.tokens to "
    f"byte-pair, and preprocessing.max_length to a number, such as {MOST_PIECES}."
)
PLACES_WITHOUT_END = (
    "Learnt positions need a longest text, and preprocessing.max_length is empty. Set it, or set model.positions to "
    "sinusoidal."
)
NO_VECTORS_FILE = (
    "The vectors of words are to start from a file, and none is named. Set model.vectors_path to the path of one, or "
    "model.start to random or word2vec."
)
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
    tokens: Literal["words", "byte-pair"] = Field(
        "words", title="Tokens",
        description="words: one token a word; a word outside the vocabulary is unknown. byte-pair: frequent words stay "
        "whole, rare ones are put together from frequent pieces, so that hardly a word is unknown (Sennrich et al. "
        "2016). For models that read a text in order; a pretrained encoder brings pieces of its own.",
        json_schema_extra=LATER,
    )  # fmt: skip
    max_words: int = Field(
        10_000, ge=1, le=1_000_000, title="Vocabulary",
        description="How many of the most frequent words are known; of byte-pair tokens, how many pieces.",
    )  # fmt: skip
    min_frequency: int = Field(
        5, ge=1, le=1_000, title="Least frequency",
        description="A word seen less often in training is unknown; a byte-pair seen less often makes no piece.",
    )  # fmt: skip
    max_length: int | None = Field(
        256, ge=1, le=10_000, title="Most words",
        description="A longer text loses its end; of byte-pair tokens, pieces are counted. Empty: no limit.",
    )  # fmt: skip

    @property
    def unit(self) -> str:
        """Return what ``max_length`` counts."""
        return "words" if self.tokens == "words" else "pieces"


class ModelSettings(Settings):
    """What every model's settings say of themselves."""

    @property
    def pretraining(self) -> str | None:
        """Return what is learnt from texts alone before the training, a name of ``PRETRAINING``, or None."""
        return None

    @property
    def architecture(self) -> Self:
        """Return what a trained model is built from, without how its weights were found: what a model file holds."""
        return self


class BiLSTMConfig(ModelSettings):
    """A bidirectional LSTM over word embeddings."""

    kind: Literal["bilstm"] = "bilstm"
    embedding_dim: int = Field(128, ge=1, le=2_048, title="Embedding width", description="Numbers a word becomes.")
    hidden_size: int = Field(256, ge=1, le=2_048, title="Hidden width", description="LSTM units in each direction.")
    num_layers: int = Field(2, ge=1, le=8, title="Layers", description="Stacked bidirectional layers.")
    dropout: float = Field(
        0.5, ge=0.0, le=0.95, title="Dropout", description="Share of values silenced between layers while training."
    )
    pooling: Literal["last", "max", "attention"] = Field(
        "last", title="Pooling",
        description="last: the final state of each direction speaks for the text. max: each unit's strongest moment "
        "does. attention: a mean of all states, weighted by how much each matters, which is learnt too.",
    )  # fmt: skip
    start: Literal["random", "word2vec", "file", "language_model"] = Field(
        "random", title="Vectors start from",
        description="random: the vectors of words are learnt from the labels alone. word2vec: they are first learnt "
        "from which words stand near each other, in all reviews, those without a label too (Mikolov et al. 2013). "
        "file: they are read from a file of pretrained vectors. language_model: they and the first layer first learn "
        "to guess each next word of all reviews (Dai & Le 2015).", json_schema_extra=LATER,
    )  # fmt: skip
    vectors_path: str | None = Field(
        None, title="Vectors file",
        description="GloVe or word2vec text, word2vec binary, or fastText .vec; as wide as the embedding.",
        json_schema_extra=LATER,
    )  # fmt: skip
    freeze_embedding: bool = Field(
        False, title="Keep vectors",
        description="The vectors of words stay as they started; only what reads them is learnt.",
        json_schema_extra=LATER,
    )  # fmt: skip
    language_passes: int = Field(
        1, ge=1, le=100, title="Language model's passes",
        description="How often the language model reads all reviews, where the vectors start from one.",
        json_schema_extra=LATER,
    )  # fmt: skip
    language_steps: int | None = Field(
        None, ge=1, title="Language model's most steps",
        description="End it after this many updates though passes are left, where the vectors start from one.",
        json_schema_extra=LATER,
    )  # fmt: skip

    @field_validator("vectors_path")
    @classmethod
    def _hold_anywhere(cls, path: str | None) -> str | None:
        # A run may go on from another working directory.
        return None if path is None else os.path.abspath(os.path.expanduser(path))

    @property
    def pretraining(self) -> str | None:
        return None if self.start == "random" else self.start

    @property
    def architecture(self) -> Self:
        how = {"start": "random", "vectors_path": None, "freeze_embedding": False}
        return self.model_copy(update={**how, "language_passes": 1, "language_steps": None})


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


class DocumentVectorsConfig(ModelSettings):
    """A linear layer on document vectors, which predict a text's n-grams and are learnt without labels too."""

    kind: Literal["document_vectors"] = "document_vectors"
    width: int = Field(200, ge=2, le=1_000, title="Width", description="Numbers a text becomes.")
    ngrams: int = Field(
        200_000, ge=1, le=2_000_000, title="n-grams predicted",
        description="So many n-grams, those that speak most clearly for one label, have a vector.",
    )  # fmt: skip
    passes: int = Field(
        4, ge=1, le=100, title="Passes of the vectors",
        description="How often all reviews are read, those without a label too, before the linear layer is trained.",
    )  # fmt: skip
    max_n: int = Field(3, ge=1, le=5, title="Longest n-gram", description="Single words up to this many in a row.")
    bucket_bits: int = Field(
        22, ge=10, le=26, title="Bucket bits", description="n-grams share 2 to this power buckets by their hash."
    )
    min_reviews: int = Field(
        4, ge=1, le=1_000, title="Least reviews",
        description="An n-gram counts when this many training reviews hold it.",
    )  # fmt: skip
    smoothing: float = Field(
        1.0, gt=0.0, le=100.0, title="Smoothing", description="Added to each count before the log ratio is taken."
    )

    @property
    def reading(self) -> NgramConfig:
        """Return how n-grams are found."""
        return NgramConfig(max_n=self.max_n, bucket_bits=self.bucket_bits, min_reviews=self.min_reviews)

    @property
    def pretraining(self) -> str | None:
        return "document_vectors"

    @property
    def architecture(self) -> Self:
        how = {name: type(self).model_fields[name].default for name in ("passes", "smoothing")}
        return self.model_copy(update=how)


class TransformerConfig(ModelSettings):
    """A small Transformer encoder, trained from scratch: every token looks at every other one."""

    kind: Literal["transformer"] = "transformer"
    width: int = Field(128, ge=2, le=2_048, title="Width", description="Numbers a token is; a multiple of the heads.")
    heads: int = Field(4, ge=1, le=64, title="Heads", description="Ways in which a token looks at the others at once.")
    num_layers: int = Field(2, ge=1, le=24, title="Layers", description="Stacked layers of attention.")
    feed_forward: int = Field(
        256, ge=1, le=16_384, title="Feed-forward width",
        description="Units of the network in each layer that reads each token by itself.",
    )  # fmt: skip
    dropout: float = Field(
        0.1, ge=0.0, le=0.95, title="Dropout", description="Share of values silenced in each layer while training."
    )
    positions: Literal["sinusoidal", "learnt"] = Field(
        "sinusoidal", title="Positions",
        description="How a token knows its place. sinusoidal: by waves, which need no learning and have no end. "
        "learnt: by a vector for each place, up to the most words.",
    )  # fmt: skip
    pooling: Literal["mean", "max"] = Field(
        "mean", title="Pooling",
        description="mean: all states of a text count alike. max: each unit's strongest moment speaks for the text.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _share_width_among_heads(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"the width, {self.width}, should be a multiple of the heads, {self.heads}")
        return self


def _cut_names(value: Any) -> Any:
    """Return names that were typed with commas between them, or came as JSON, as a tuple."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(","))
    return tuple(value) if isinstance(value, list) else value


MemberName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,79}$")]


class EnsembleConfig(ModelSettings):
    """Several models of any kind, each trained by itself; their calibrated logits are averaged."""

    kind: Literal["ensemble"] = "ensemble"
    members: Annotated[tuple[MemberName, ...], BeforeValidator(_cut_names)] = Field(
        ("fast", "compact"), min_length=2, max_length=8, title="Members",
        description="Presets, which are trained first on the same reviews with the same seed, and ids of runs, whose "
        "models are taken as they are. Runs must have held back the same validation reviews.",
    )  # fmt: skip
    weighting: Literal["equal", "validation"] = Field(
        "equal", title="Weights of members",
        description="equal: all count alike. validation: by the least log loss on validation, none below 0; few "
        "reviews find weights that help no other review.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _name_each_once(self) -> Self:
        if len(set(self.members)) < len(self.members):
            raise ValueError("a member is named twice: it would only count double")
        return self


class PretrainedConfig(ModelSettings):
    """An encoder that was pretrained on other texts, fine-tuned; needs pip install -r requirements-pretrained.txt."""

    kind: Literal["pretrained"] = "pretrained"
    base: str | None = Field(
        DEFAULT_BASE, max_length=1_000, title="Pretrained encoder",
        description="A folder with config.json, tokenizer.json and model.safetensors, or a name on the hub, fetched "
        "once. BERT, DistilBERT, RoBERTa and MPNet are known.",
    )  # fmt: skip
    frozen_layers: int = Field(
        0, ge=0, le=48, title="Layers kept",
        description="So many layers, counted from the text, keep their weights, and the vectors of pieces with them. "
        "0 fine-tunes everything.",
    )  # fmt: skip
    dropout: float = Field(
        0.1, ge=0.0, le=0.95, title="Dropout", description="Share of values silenced in each layer while training."
    )
    pooling: Literal["mean", "first"] = Field(
        "mean", title="Pooling",
        description="mean: all states of a text count alike. first: that of the mark before the text speaks for it.",
    )  # fmt: skip

    @property
    def pretraining(self) -> str | None:
        return "base"

    @property
    def architecture(self) -> Self:
        return self.model_copy(update={"base": None, "frozen_layers": 0})


KINDS = ("bilstm", "ngram", "transformer", "ensemble", "pretrained", "document_vectors")
ModelConfig = Annotated[
    BiLSTMConfig | NgramConfig | TransformerConfig | EnsembleConfig | PretrainedConfig | DocumentVectorsConfig,
    Field(discriminator="kind"),
]


class TrainingConfig(Settings):
    """How the weights are found."""

    epochs: int = Field(5, ge=1, le=1_000, title="Epochs", description="Passes over the training reviews.")
    batch_size: int = Field(64, ge=1, le=4_096, title="Batch size", description="Reviews in one step.")
    accumulate: int = Field(
        1, ge=1, le=4_096, title="Parts of a batch",
        description="A step reads its batch in this many parts, one after the other, and adds up what they say: the "
        "same step in less memory.", json_schema_extra=LATER,
    )  # fmt: skip
    learning_rate: float = Field(0.001, gt=0.0, title="Learning rate", description="Adam's step size.")
    schedule: Literal["constant", "linear", "one-cycle"] = Field(
        "constant", title="Schedule",
        description="linear: the learning rate falls evenly to zero over all steps. one-cycle: it rises over the first "
        "three tenths of them, then falls to zero, both along a cosine.",
    )  # fmt: skip
    clip_norm: float = Field(
        1.0, gt=0.0, title="Gradient clipping", description="A step's gradient is never longer than this."
    )
    best_by: Literal["accuracy", "loss"] = Field(
        "accuracy", title="Best by",
        description="Which validation figure says that an epoch's weights are the best. Loss is the finer measure "
        "where validation is small.",
    )  # fmt: skip
    label_smoothing: float = Field(
        0.0, ge=0.0, le=0.5, title="Label smoothing",
        description="A label counts as certain less half of this share: at 0.1 as 95 to 5. The training loss is that "
        "of such labels, so that it cannot fall to zero.", json_schema_extra=LATER,
    )  # fmt: skip
    weight_averaging: float = Field(
        0.0, ge=0.0, le=0.99999, title="Weight averaging",
        description="Share of their running mean that the weights keep at each step; validation judges the mean, and "
        "it is what is kept. 0.999 looks back about 1,000 steps; 0 averages nothing.", json_schema_extra=LATER,
    )  # fmt: skip
    max_steps: int | None = Field(
        None, ge=1, title="Most steps",
        description="End after this many steps though epochs are left; a falling schedule ends there too. A time "
        "budget is written down as this.",
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
        return self.training.teacher is not None or self.model.pretraining not in (None, "file", "base")

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
            model=NgramConfig(smoothing=3.0),
            training=TrainingConfig(epochs=4, batch_size=256, learning_rate=0.05, schedule="linear", best_by="loss"),
        ),
    ),
    "distilled": Preset(
        "The n-grams again, taught by the strong preset on reviews without a label too: as quick to score as fast, and "
        "more accurate. Its teacher is trained first, once for all seeds, and its minutes are told beside.",
        RunConfig(
            preprocessing=PreprocessingConfig(
                characters="punctuation", max_words=100_000, min_frequency=3, max_length=None
            ),
            model=NgramConfig(min_reviews=5),
            training=TrainingConfig(
                epochs=4, batch_size=256, learning_rate=0.05, schedule="linear", best_by="loss", teacher="strong"
            ),
        ),
    ),
    "strong": Preset(
        "Models that err on different reviews, averaged: the n-grams, the document vectors and the small LSTM. The "
        "most accurate, and as slow to train and to score as all its members together.",
        RunConfig(
            preprocessing=PreprocessingConfig(
                characters="punctuation", max_words=100_000, min_frequency=3, max_length=None
            ),
            model=EnsembleConfig(members=("fast", "document_vectors", "compact")),
            training=TrainingConfig(epochs=1, best_by="loss"),
        ),
    ),
    "document_vectors": Preset(
        "A vector of each review that predicts its n-grams, learnt without labels, and a linear layer. It errs on "
        "other reviews than the n-grams do.",
        RunConfig(
            preprocessing=PreprocessingConfig(
                characters="punctuation", max_words=100_000, min_frequency=3, max_length=None
            ),
            model=DocumentVectorsConfig(),
            training=TrainingConfig(epochs=4, batch_size=256, learning_rate=0.03, schedule="linear", best_by="loss"),
        ),
    ),
    "compact": Preset(
        "A small bidirectional LSTM that a laptop trains in minutes. The vectors of words are learnt first, from all "
        "reviews, those without a label too.",
        RunConfig(
            preprocessing=PreprocessingConfig(max_words=20_000, min_frequency=3, max_length=600),
            model=BiLSTMConfig(embedding_dim=100, hidden_size=96, num_layers=1, pooling="max", start="word2vec"),
            training=TrainingConfig(epochs=4, learning_rate=0.002, schedule="linear", best_by="loss", patience=2),
        ),
    ),
    "attention": Preset(
        "The small LSTM that learns which words to look at, and shows where it looked in each review.",
        RunConfig(
            preprocessing=PreprocessingConfig(max_words=20_000, min_frequency=3, max_length=600),
            model=BiLSTMConfig(embedding_dim=100, hidden_size=96, num_layers=1, pooling="attention", start="word2vec"),
            training=TrainingConfig(epochs=4, learning_rate=0.002, schedule="linear", best_by="loss", patience=2),
        ),
    ),
    "transformer": Preset(
        "A small Transformer encoder, trained from scratch. It needs many reviews to get ahead of the LSTMs.",
        RunConfig(
            preprocessing=PreprocessingConfig(max_words=20_000, min_frequency=3, max_length=256),
            model=TransformerConfig(dropout=0.2),
            training=TrainingConfig(epochs=4, batch_size=32, schedule="one-cycle", best_by="loss"),
        ),
    ),
    "pretrained": Preset(
        "An encoder that was pretrained on other texts, fine-tuned. Needs an optional package; slow without a GPU.",
        RunConfig(
            preprocessing=PreprocessingConfig(
                characters="punctuation", tokens="byte-pair", max_words=20_000, min_frequency=3, max_length=MOST_PIECES
            ),
            model=PretrainedConfig(),
            training=TrainingConfig(epochs=2, batch_size=16, learning_rate=0.00005, schedule="one-cycle"),
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

    Values are read as JSON (``5``, ``0.1``, ``true``, ``null``); what is not JSON is taken as text. Wherever
    ``model.kind`` stands among them, another kind brings its own defaults before the rest is applied.

    Raises:
        ConfigError: An assignment has no ``=``, names an unknown field, or its value is out of bounds.
    """
    parsed = [_parse_assignment(assignment) for assignment in assignments]
    for path, value in parsed:
        if path.strip() == "model.kind":
            config = _with_text_for(with_kind(config, value), config.model.kind)
    document = config.model_dump()
    for path, value in parsed:
        section, _, field = path.strip().partition(".")
        if section not in document or field not in document[section]:
            raise ConfigError(f"There is no setting {path!r}. Known: {', '.join(_paths(document))}.")
        if (section, field) != ("model", "kind"):
            document[section][field] = value
    return parse_config(document)


def with_kind(config: RunConfig, kind: Any) -> RunConfig:
    """Return a config with another kind of model, at that kind's defaults; of its own kind it stays as it is.

    Whether the rest of the settings goes with that kind is not looked at here: ``parse_config`` does.

    Raises:
        ConfigError: There is no such kind.
    """
    if kind == config.model.kind:
        return config
    text = {"tokens": "byte-pair"} if kind == "pretrained" else {}
    model = parse_config({"preprocessing": text, "model": {"kind": kind}}).model
    return config.model_copy(update={"model": model})


def _with_text_for(config: RunConfig, before: str) -> RunConfig:
    """Return settings whose kind of model was just changed, with pieces where the kind has its own, or had them."""
    text, kind = config.preprocessing, config.model.kind
    if "pretrained" not in (kind, before) or kind == before:
        return config
    pieces = {"tokens": "byte-pair", "max_length": text.max_length or MOST_PIECES}
    found = text.model_copy(update=pieces if kind == "pretrained" else {"tokens": "words"})
    return config.model_copy(update={"preprocessing": found})


def on_same_data(preset: str, config: RunConfig, seed: int | None = None) -> RunConfig:
    """Return a preset's settings for the data of another config, with its seed or the one that is given.

    Raises:
        ConfigError: No preset has that name.
    """
    found = preset_config(preset)
    training = found.training.model_copy(update={"seed": config.training.seed if seed is None else seed})
    data = config.data
    if seed is not None:
        data = data.model_copy(update={"split_seed": config.split_seed})
    return found.model_copy(update={"data": data, "training": training})


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
        config = RunConfig.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"Settings out of bounds: {describe_faults(error)}.") from error
    if config.model.kind in OWN_TOKENS and config.preprocessing.tokens != "words":
        raise ConfigError(NO_PIECES)
    if config.model.pretraining == "file" and getattr(config.model, "vectors_path", None) is None:
        raise ConfigError(NO_VECTORS_FILE)
    if config.model.kind == "pretrained" and (
        config.preprocessing.tokens != "byte-pair" or config.preprocessing.max_length is None
    ):
        raise ConfigError(PIECES_OF_A_BASE)
    if lacks_places(config.preprocessing, config.model):
        raise ConfigError(PLACES_WITHOUT_END)
    if isinstance(config.model, EnsembleConfig):
        _refuse_nested(config.model)
    return config


def _refuse_nested(model: EnsembleConfig) -> None:
    for name in model.members:
        inner = PRESETS[name].config.model if name in PRESETS else None
        if isinstance(inner, EnsembleConfig):
            raise ConfigError(
                f"model.members: {name} is an ensemble itself. Name its members in its place: "
                f"{', '.join(inner.members)}."
            )


def lacks_places(preprocessing: PreprocessingConfig, model: ModelSettings) -> bool:
    """Tell whether a model is to learn a vector for each place of a text that has no longest length."""
    return isinstance(model, TransformerConfig) and model.positions == "learnt" and preprocessing.max_length is None


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


def _parse_assignment(assignment: str) -> tuple[str, Any]:
    path, equals, value = assignment.partition("=")
    if not equals or not path.strip().partition(".")[2]:
        raise ConfigError(f"--set {assignment!r}: expected section.field=value, for example training.epochs=3.")
    return path, _parse_value(value)


def _parse_value(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
