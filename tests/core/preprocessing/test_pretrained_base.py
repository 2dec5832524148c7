"""A base is data: what is read of it is checked, and what is not known is refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError
from core.preprocessing import pretrained_base
from core.preprocessing.pretrained_base import Base, load_base
from tests.pretrained import PLACES, WIDTH, needs_extra, tiny_base, write_base


def spoil(folder: Path, name: str, **changes: Any) -> str:
    """Write a tiny base with some fields of one of its files changed, and return its folder."""
    write_base(folder)
    document = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(document | changes))
    return str(folder)


def test_sizes_and_marks_are_read_from_a_folder() -> None:
    files = load_base(tiny_base())
    base = files.base
    assert (base.architecture, base.width, base.positions, base.types) == ("bert", WIDTH, PLACES, 2)
    assert (base.pad, base.unknown, base.first, base.last) == (0, 1, 2, 3)
    assert base.first_place == 0 and base.most_pieces == PLACES - 2
    assert files.folder == Path(tiny_base())


@needs_extra
@pytest.mark.parametrize("architecture", ["roberta", "mpnet"])
def test_the_architectures_that_count_places_from_behind_padding_have_fewer(architecture: str) -> None:
    base = load_base(tiny_base(architecture)).base
    assert (base.pad, base.unknown, base.first_place, base.most_pieces) == (1, 3, 2, PLACES - 4)


def test_our_ids_are_a_permutation_that_begins_with_padding_and_unknown() -> None:
    base = load_base(tiny_base()).base.model_copy(
        update={"vocabulary": 8, "pad": 3, "unknown": 6, "first": 0, "last": 7}
    )
    assert base.order.tolist() == [3, 6, 0, 1, 2, 4, 5, 7]
    assert base.frame == [2, 7]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "llama"}, "its model_type is 'llama'; known are bert"),
        ({"position_embedding_type": "relative_key"}, "its position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "its is_decoder is 'True'; False was expected"),
        ({"hidden_size": 10**9}, "out of bounds: width"),
        ({"hidden_size": "12"}, "out of bounds: width"),
        ({"num_attention_heads": 5}, "its width, 12, is not a multiple of its heads, 5"),
        ({"hidden_size": 4096, "num_hidden_layers": 48}, "parameters; at most 450,000,000 are accepted"),
        ({"vocab_size": 50}, "ids other than those from 0 to below 50"),
        ({"hidden_act": "os.system"}, "out of bounds: activation"),
        ({"num_hidden_layers": None}, "out of bounds: layers"),
        ({"max_position_embeddings": 2}, "out of bounds: positions"),
    ],
)
def test_a_config_that_is_not_known_or_out_of_bounds_is_refused_before_anything_is_built(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        load_base(spoil(tmp_path, "config.json", **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}}},
            "of the kind 'Split', which is not known",
        ),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Replace"}]}}, "normalizer is of a kind"),
        ({"model": {"type": "Unigram", "vocab": []}}, "of the kind 'Unigram'"),
        ({"model": 3}, "model is of the kind 'None'"),
        ({"post_processor": None}, "puts 0 marks around a text; 2 were expected"),
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_base(spoil(tmp_path, "tokenizer.json", **changes))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b"\xff", b'{"a": 1, "a": 2}'])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    write_base(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        load_base(str(tmp_path))


def test_weights_of_another_sort_than_safetensors_are_not_opened(tmp_path: Path) -> None:
    write_base(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"no model\.safetensors.*others can carry code"):
        load_base(str(tmp_path))


@pytest.mark.parametrize("name", ["../nowhere", "http://example.org/x", "a b", "\0", "x" * 5_000 + "/", "a/b/c"])
def test_what_is_neither_a_folder_nor_a_hub_name_never_reaches_the_hub(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained_base, "_fetch_folder", lambda name: pytest.fail("the hub was asked"))
    with pytest.raises(ConfigError, match="there is no folder"):
        load_base(name)


def test_no_base_at_all_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"model\.base is empty"):
        load_base(None)


def test_a_hub_that_does_not_answer_is_a_sentence_at_once_and_its_cache_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub

    asked = []

    class Hub:
        def model_info(self, name: str, timeout: float) -> None:
            assert timeout <= 10
            raise OSError("no route to host")

    def snapshot(name: str, **options: Any) -> str:
        asked.append(options["local_files_only"])
        raise FileNotFoundError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(
        ConfigError, match=r"could not be fetched from the hub: no route to host.*model\.base to a folder"
    ):
        load_base("someone/something")
    assert asked == [True]


def test_a_base_in_the_hub_s_cache_is_found_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    class Hub:
        def model_info(self, name: str, timeout: float) -> None:
            raise OSError

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **options: tiny_base())
    assert load_base("someone/something").base == load_base(tiny_base()).base


def test_a_base_survives_its_json() -> None:
    base = load_base(tiny_base()).base
    assert Base.model_validate(json.loads(base.to_json())) == base
