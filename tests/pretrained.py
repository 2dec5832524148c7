"""A tiny pretrained encoder, written down by hand: what a folder of a base holds, with weights drawn by chance."""

import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from core.models.pretrained import has_extra
from tests.texts import BAD, GOOD, THINGS

needs_extra = pytest.mark.skipif(not has_extra(), reason="needs pip install -r requirements-pretrained.txt")
WIDTH, LAYERS, HEADS, FEED_FORWARD, PLACES = 12, 2, 2, 16, 300
BERT_MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MPNET_MARKS = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
ROBERTA_MARKS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


_FOLDERS = tempfile.TemporaryDirectory(prefix="tiny-bases-")


@cache
def tiny_base(architecture: str = "bert") -> str:
    """Return the folder of a tiny base of an architecture, the same one within a process."""
    folder = Path(_FOLDERS.name) / architecture
    if not folder.exists():
        folder.mkdir()
        write_base(folder, architecture)
    return str(folder)


def write_base(folder: Path, architecture: str = "bert") -> None:
    """Write a tiny base's three files into a folder; only that of a BERT can be had without the extra."""
    tokenizer = build_tokenizer(architecture)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = base_config(architecture, tokenizer.get_vocab_size())
    (folder / "config.json").write_text(json.dumps(config))
    if architecture == "bert":
        save_file(draw_bert(tokenizer.get_vocab_size()), folder / "model.safetensors")
        return
    from transformers import AutoConfig, AutoModel

    AutoModel.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)


def build_tokenizer(architecture: str) -> Tokenizer:
    """Return a tokenizer of an architecture's kind that has most words of invented reviews as one piece.

    It is put together by hand: what the library learns has ids in an order that changes from run to run.
    """
    words = sorted({word for phrase in (*GOOD, *BAD, *THINGS, "the is and") for word in phrase.split()})
    if architecture == "roberta":
        pieces = [*ROBERTA_MARKS, *sorted(pre_tokenizers.ByteLevel.alphabet()), "\u0120t", "he", "\u0120the"]
        merges = [("\u0120", "t"), ("h", "e"), ("\u0120t", "he")]
        tokenizer = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        return tokenizer
    marks = MPNET_MARKS if architecture == "mpnet" else BERT_MARKS
    characters = sorted("abcdefghijklmnopqrstuvwxyz0123456789'!.,-")
    pieces = [*marks, *characters, *(f"##{character}" for character in characters), *words]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    first, last = ("<s>", "</s>") if architecture == "mpnet" else ("[CLS]", "[SEP]")
    ids = [(mark, tokenizer.token_to_id(mark)) for mark in (last, first)]
    tokenizer.post_processor = processors.BertProcessing(*ids)
    return tokenizer


def base_config(architecture: str, vocabulary: int) -> dict[str, object]:
    """Return what stands in a base's config.json."""
    if architecture == "distilbert":
        sizes = {"dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": FEED_FORWARD, "activation": "gelu"}
    else:
        sizes = {
            "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "intermediate_size": FEED_FORWARD, "hidden_act": "gelu", "layer_norm_eps": 1e-5,
        }  # fmt: skip
    more = {"bert": {"type_vocab_size": 2}, "roberta": {"type_vocab_size": 1}}.get(architecture, {})
    common = {"model_type": architecture, "vocab_size": vocabulary, "max_position_embeddings": PLACES}
    return {**common, "pad_token_id": 1 if architecture in ("roberta", "mpnet") else 0, **sizes, **more}


def draw_bert(vocabulary: int) -> dict[str, NDArray[np.float32]]:
    """Return a BERT's weights by their names, drawn by chance."""
    draw = np.random.default_rng(3)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (vocabulary, WIDTH),
        "embeddings.position_embeddings.weight": (PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,), "embeddings.LayerNorm.bias": (WIDTH,),
    }  # fmt: skip
    for layer in range(LAYERS):
        parts = {
            **{f"attention.self.{name}": (WIDTH, WIDTH) for name in ("query", "key", "value")},
            "attention.output.dense": (WIDTH, WIDTH), "attention.output.LayerNorm": (WIDTH,),
            "intermediate.dense": (FEED_FORWARD, WIDTH), "output.dense": (WIDTH, FEED_FORWARD),
            "output.LayerNorm": (WIDTH,),
        }  # fmt: skip
        for name, shape in parts.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
    return {
        name: (np.ones(shape) if name.endswith("LayerNorm.weight") else draw.normal(0, 0.2, shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
