"""Settings are checked where they come in, and a fault names the field, the value and what is possible."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from core.config import (
    KINDS,
    PRESETS,
    BiLSTMConfig,
    DataConfig,
    NgramConfig,
    PreprocessingConfig,
    RunConfig,
    Section,
    TrainingConfig,
    parse_config,
    preset_config,
    repeat_with_seeds,
    with_data,
    with_kind,
    with_settings,
)
from core.errors import ConfigError

SECTIONS: tuple[type[Section], ...] = (DataConfig, PreprocessingConfig, BiLSTMConfig, NgramConfig, TrainingConfig)
FAST = PRESETS["fast"].config


def fields_of_all_sections() -> Iterator[tuple[str, FieldInfo]]:
    for section in SECTIONS:
        for name, field in section.model_fields.items():
            if name != "kind":
                yield f"{section.__name__}.{name}", field


FIELDS = dict(fields_of_all_sections())


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_survives_json(name: str) -> None:
    config = preset_config(name)
    assert parse_config(json.loads(config.model_dump_json())) == config
    assert parse_config(json.loads(json.dumps(config.model_dump(mode="json")))) == config
    assert PRESETS[name].summary.endswith(".")


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=f"no preset 'huge'. Choose one of: {', '.join(PRESETS)}"):
        preset_config("huge")


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_a_title_and_a_description(name: str) -> None:
    field = FIELDS[name]
    assert field.title and field.title[0].isupper()
    assert field.description and field.description.endswith(".")


def test_every_section_of_a_run_is_among_those_that_are_looked_at() -> None:
    names = {annotation.__name__ for annotation in (type(getattr(FAST, name)) for name in RunConfig.model_fields)}
    assert names <= {section.__name__ for section in SECTIONS}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_the_defaults_of_every_section_are_within_its_own_bounds(section: type[Section]) -> None:
    assert section.model_validate(section().model_dump()) == section()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_a_section_cannot_be_changed_and_refuses_keys_it_does_not_know(section: type[Section]) -> None:
    name = next(iter(section.model_fields))
    with pytest.raises(ValidationError):
        setattr(section(), name, getattr(section(), name))
    with pytest.raises(ValidationError, match="Extra inputs"):
        section.model_validate({"trust_remote_code": True})


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("training.epochs=3", 3),
        ("training.learning_rate=0.5", 0.5),
        ("training.learning_rate=1e-4", 0.0001),
        ("training.schedule=constant", "constant"),
        ('training.schedule="constant"', "constant"),
        ("preprocessing.lowercase=false", False),
        ("preprocessing.max_length=null", None),
        ("training.patience=null", None),
        ("data.limit=8", 8),
        ("data.source=demo", "demo"),
        ("data.path=a file, with = and spaces.csv", "a file, with = and spaces.csv"),
        ("data.text_column=Überschrift", "Überschrift"),
        (" training.epochs =3", 3),
        ("training.epochs= 3", 3),
        ("model.max_n=2", 2),
    ],
)
def test_an_assignment_changes_one_field_and_nothing_else(assignment: str, value: Any) -> None:
    changed = with_settings(FAST, [assignment])
    section, field = assignment.partition("=")[0].strip().split(".")
    assert getattr(getattr(changed, section), field) == value
    assert type(getattr(getattr(changed, section), field)) is type(value)
    expected = FAST.model_dump()
    expected[section][field] = value
    assert changed.model_dump() == expected


def test_assignments_apply_in_their_order_and_leave_the_given_config_as_it_is() -> None:
    before = FAST.model_dump()
    changed = with_settings(FAST, ["training.epochs=3", "training.seed=9", "training.epochs=5"])
    assert (changed.training.epochs, changed.training.seed) == (5, 9)
    assert FAST.model_dump() == before
    assert with_settings(FAST, []) == FAST


@pytest.mark.parametrize("order", [1, -1])
def test_another_kind_of_model_brings_its_defaults_wherever_it_stands_among_the_assignments(order: int) -> None:
    before = with_settings(FAST, ["training.seed=7"])
    assignments = ["model.hidden_size=32", "training.epochs=3", "model.kind=bilstm"]
    changed = with_settings(before, assignments[::order])
    assert changed.model == BiLSTMConfig(hidden_size=32)
    assert (changed.training.epochs, changed.training.seed) == (3, 7)
    assert changed.preprocessing == before.preprocessing and changed.data == before.data
    with pytest.raises(ConfigError, match=r"There is no setting 'model\.max_n'"):
        with_settings(before, ["model.max_n=2", "model.kind=bilstm"])


def test_the_kind_that_a_config_has_already_changes_nothing() -> None:
    compact = preset_config("compact")
    assert with_settings(compact, [f"model.kind={compact.model.kind}"]) == compact
    assert with_kind(compact, compact.model.kind) == compact
    # Away and back again leaves the defaults, not what was there.
    assert with_settings(compact, ["model.kind=ngram", "model.kind=bilstm"]).model == BiLSTMConfig()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_can_be_had_by_its_name_with_its_defaults(kind: str) -> None:
    other = PRESETS["classic" if kind == "ngram" else "fast"].config
    pieces = ["preprocessing.tokens=byte-pair", "preprocessing.max_length=254"] if kind == "pretrained" else []
    changed = with_settings(other, [f"model.kind={kind}", *pieces])
    assert changed.model.kind == kind and changed.model == type(changed.model)()
    assert with_settings(changed, [f'model.kind="{kind}"']) == changed


@pytest.mark.parametrize("value", ["mamba", "null", "[]", '{"a": 1}', "3"])
def test_no_other_value_is_a_kind_of_model(value: str) -> None:
    with pytest.raises(ConfigError, match="Settings out of bounds: model: "):
        with_settings(FAST, [f"model.kind={value}"])


@pytest.mark.parametrize(
    "assignment", ["training.epochs", "", "training", "epochs=3", "training.=3", "=3", "training=3"]
)
def test_an_assignment_of_another_form_is_refused_with_an_example(assignment: str) -> None:
    with pytest.raises(ConfigError, match=r"expected section\.field=value, for example training\.epochs=3") as caught:
        with_settings(FAST, [assignment])
    assert repr(assignment) in str(caught.value)


@pytest.mark.parametrize(
    "path", ["trainig.epochs", "training.epoch", "model.hidden_size", "training.epochs.x", ".epochs"]
)
def test_an_unknown_setting_lists_the_known_ones(path: str) -> None:
    with pytest.raises(ConfigError, match=f"There is no setting '{path}'. Known: ") as caught:
        with_settings(FAST, [f"{path}=3"])
    known = str(caught.value).partition("Known: ")[2].rstrip(".").split(", ")
    assert known == [f"{section}.{field}" for section, fields in FAST.model_dump().items() for field in fields]


OUT_OF_BOUNDS = [
    ("training.epochs", "0"),
    ("training.epochs", "1001"),
    ("training.epochs", "2.5"),
    ("training.epochs", "many"),
    ("training.epochs", "null"),
    ("training.learning_rate", "0"),
    ("training.learning_rate", "-0.1"),
    ("training.learning_rate", "NaN"),
    ("training.learning_rate", "Infinity"),
    ("training.learning_rate", "1e999"),
    ("training.batch_size", "[64]"),
    ("training.seed", "-1"),
    ("training.seed", "4294967296"),
    ("training.schedule", "cosine"),
    ("training.patience", "0"),
    ("data.validation_fraction", "0.51"),
    ("data.limit", "7"),
    ("data.source", "twitter"),
    ("preprocessing.characters", "all"),
    ("preprocessing.max_words", "0"),
    ("preprocessing.max_length", "10001"),
    ("preprocessing.lowercase", "perhaps"),
    ("model.bucket_bits", "27"),
    ("model.max_n", "0"),
    ("model.smoothing", "0"),
]


@pytest.mark.parametrize(("path", "value"), OUT_OF_BOUNDS)
def test_a_value_out_of_bounds_is_named_with_its_field(path: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(FAST, [f"{path}={value}"])
    message = str(caught.value)
    found = {"NaN": "nan", "Infinity": "inf", "1e999": "inf", "null": "None"}.get(value, value)
    assert message.startswith(f"Settings out of bounds: {path}: ")
    assert f"(found '{found}')" in message
    assert message.count("\n") == 0


@pytest.mark.parametrize("path", ["training.epochs", "training.learning_rate", "data.limit", "model.max_n"])
def test_a_truth_value_is_no_number(path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        with_settings(FAST, [f"{path}=true"])


def test_every_fault_is_named_not_only_the_first() -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(FAST, ["training.epochs=0", "data.limit=1"])
    assert "training.epochs: " in str(caught.value) and "data.limit: " in str(caught.value)


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(FAST, ["training.epochs=" + "9x" * 10_000])
    assert len(str(caught.value)) < 300


def test_a_value_that_is_nested_deeply_is_refused_with_a_sentence() -> None:
    with pytest.raises(ConfigError):
        with_settings(FAST, ["training.epochs=" + "[" * 100_000])


@pytest.mark.parametrize(
    "document", [None, [], "fast", 3, {"model": {"kind": "mamba"}}, {"model": {}}, {"optimiser": {}}]
)
def test_a_document_that_is_no_config_is_refused(document: Any) -> None:
    with pytest.raises(ConfigError, match="Settings out of bounds"):
        parse_config(document)


def test_an_unknown_kind_of_model_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="model: .*'mamba'.*'bilstm', 'ngram'"):
        parse_config({"model": {"kind": "mamba"}})


def test_the_name_of_a_model_s_field_has_no_kind_in_it() -> None:
    with pytest.raises(ConfigError, match=r": model\.hidden_size: .*\(found '0'\)"):
        with_settings(PRESETS["classic"].config, ["model.hidden_size=0"])


@pytest.mark.parametrize("name", ["imdb", "demo"])
def test_a_known_data_set_is_chosen_by_name(name: str) -> None:
    own_table = with_data(FAST, "reviews.csv", "body", "stars")
    config = with_data(own_table, name)
    assert config.data == DataConfig(source=name)
    assert config.model_copy(update={"data": FAST.data}) == FAST


def test_anything_else_is_the_path_of_a_table_and_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = with_data(FAST, "folder/../reviews.csv", "body", "stars")
    assert config.data == DataConfig(
        source="table", path=str(tmp_path / "reviews.csv"), text_column="body", label_column="stars"
    )
    assert with_data(FAST, "IMDB").data.source == "table"
    assert parse_config(json.loads(config.model_dump_json())) == config


def test_columns_are_guessed_when_none_is_named() -> None:
    data = with_data(FAST, "reviews.csv").data
    assert (data.text_column, data.label_column) == (None, None)


@pytest.mark.parametrize("name", ["imdb", "demo"])
@pytest.mark.parametrize("columns", [{"text_column": "body"}, {"label_column": "stars"}])
def test_columns_belong_to_a_table_alone(name: str, columns: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=f"--text-column and --label-column belong to a table; {name} has its own"):
        with_data(FAST, name, **columns)


def test_the_other_settings_of_the_data_stay_when_the_data_changes() -> None:
    config = with_settings(FAST, ["data.limit=100", "data.validation_fraction=0.25"])
    data = with_data(config, "demo").data
    assert (data.limit, data.validation_fraction) == (100, 0.25)


def test_repeats_differ_by_seed_alone_and_are_validated_on_the_same_reviews() -> None:
    config = with_settings(preset_config("fast"), ["training.seed=5"])
    repeats = repeat_with_seeds(config, 3)
    assert [each.training.seed for each in repeats] == [5, 6, 7] and {each.split_seed for each in repeats} == {5}
    assert repeat_with_seeds(config, 1) == [config] and config.split_seed == 5
    with pytest.raises(ConfigError, match="training.seed"):
        repeat_with_seeds(with_settings(config, ["training.seed=4294967295"]), 2)
