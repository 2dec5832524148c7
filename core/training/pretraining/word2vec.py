"""Vectors of words learnt from which words stand near each other: word2vec's CBOW (Mikolov et al. 2013), by gensim.

A word is guessed from the mean of its neighbours' vectors, against words drawn at random. One thread reads the texts in
order, so that the same seed gives the same vectors; gensim's own loop hands texts to threads, in which nobody would see
an error or a request to stop.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.config import BiLSTMConfig, RunConfig
from core.preprocessing.encoded import EncodedTexts
from core.tensor_file import DamagedFileError, read_tensor_file, write_tensor_file
from core.training.pretraining import Learnt, Task
from core.training.pretraining.vectors import complete_vectors, read_whole_texts
from core.training.watcher import StopAsked

if TYPE_CHECKING:
    from gensim.models import Word2Vec

PASSES = 5
WINDOW = 5  # words on either side, at most
DRAWN = 5  # words drawn at random for each that is to be guessed
FREQUENT = 1e-4  # the share of all words above which a word is left out now and then
RATE, LEAST_RATE = 0.05, 0.0001  # the step size falls evenly from one to the other
MOST_TOKENS = 10_000  # what gensim takes at a time; it would drop the rest
FORMAT = "reviewscope-word2vec/1"


def signature(config: RunConfig) -> str:
    """Return the settings that the vectors depend on."""
    import gensim

    made = [PASSES, WINDOW, DRAWN, FREQUENT, RATE, LEAST_RATE, gensim.__version__]
    return json.dumps([_width(config), config.training.seed, *made])


def learn(task: Task, folder: Path) -> Learnt:
    """Return "vectors" (ids, E), learnt from whole texts; after each pass a piece is left in the folder.

    Raises:
        StopAsked: The watcher asked for it.
        ReviewscopeError: A piece could not be written.
    """
    seed, piece = task.config.training.seed, folder / "piece.safetensors"
    task.watcher.on_phase("Reading the reviews for word2vec", 0)
    texts = read_whole_texts(task)
    counts = np.bincount(texts.token_ids, minlength=task.encoder.size)
    if not counts.any():  # reviews in another script than that whose characters are kept
        return complete_vectors(np.zeros((len(counts), _width(task.config)), np.float32), counts > 0, seed)
    model = _build(counts, _width(task.config), seed)
    done = _restore(model, piece)
    task.watcher.on_phase("Learning vectors of words", PASSES * len(texts))
    task.watcher.on_resume(done * len(texts))
    for number in range(done, PASSES):
        _run_pass(model, texts, number, seed, task)
        tensors = {"vectors": model.wv.vectors, "contexts": model.syn1neg}
        write_tensor_file(piece, FORMAT, json.dumps({"passes": number + 1}), tensors)
    places = [model.wv.key_to_index.get(token_id, 0) for token_id in range(len(counts))]
    return complete_vectors(model.wv.vectors[places], counts > 0, seed)


def cut_batches(texts: EncodedTexts, most: int) -> Iterator[list[list[int]]]:
    """Yield batches of whole texts, of at most ``most`` tokens; a longer text is cut into texts."""
    batch: list[list[int]] = []
    tokens = 0
    for start, end in zip(texts.offsets[:-1].tolist(), texts.offsets[1:].tolist(), strict=True):
        for first in range(start, end, most):
            part = texts.token_ids[first : min(first + most, end)].tolist()
            if tokens + len(part) > most:
                yield batch
                batch, tokens = [], 0
            batch.append(part)
            tokens += len(part)
    if batch:
        yield batch


def _width(config: RunConfig) -> int:
    assert isinstance(config.model, BiLSTMConfig)
    return config.model.embedding_dim


def _build(counts: NDArray[np.int64], width: int, seed: int) -> "Word2Vec":
    """Return vectors drawn by seed for every token that occurs."""
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=width, sg=0, window=WINDOW, negative=DRAWN, sample=FREQUENT, min_count=1, workers=1, seed=seed
    )
    model.build_vocab_from_freq({token_id: int(count) for token_id, count in enumerate(counts) if count})
    return model


def _restore(model: "Word2Vec", piece: Path) -> int:
    """Put what a piece holds into a model; return the passes that it had made, 0 without a sound piece."""
    try:
        kept = read_tensor_file(piece, FORMAT)
    except DamagedFileError:
        return 0
    model.wv.vectors[:] = kept.tensors["vectors"]
    model.syn1neg[:] = kept.tensors["contexts"]
    passes: int = json.loads(kept.document)["passes"]
    return passes


def _run_pass(model: "Word2Vec", texts: EncodedTexts, number: int, seed: int, task: Task) -> None:
    """Read all texts once; what is drawn depends on the seed and the pass, so that a killed one is run again alike."""
    from gensim.models.word2vec_inner import train_batch_cbow

    model.random = np.random.RandomState([seed, number])
    memory = np.zeros(model.vector_size, np.float32), np.zeros(model.vector_size, np.float32)
    total, read = len(texts.token_ids), 0
    for batch in cut_batches(texts, MOST_TOKENS):
        done = (number + read / total) / PASSES
        train_batch_cbow(model, batch, RATE + (LEAST_RATE - RATE) * done, *memory, False)
        read += sum(map(len, batch))
        task.watcher.on_progress(len(batch))
        if task.watcher.should_stop():
            raise StopAsked
