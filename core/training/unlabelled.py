"""Reviews without a label, as a training reads them."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.config import RunConfig
from core.data.labelled import LabelledTexts, cut_stratified
from core.data.sources import load_unlabelled


@dataclass(frozen=True)
class Unlabelled:
    """U reviews.

    Attributes:
        texts: large_string (U); none of them stands in validation or test.
        targets: float32 (U), a teacher's probabilities to learn from; None when the texts alone are read.
    """

    texts: pa.Array
    targets: NDArray[np.float32] | None = None

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 over texts and targets."""
        digest = hashlib.sha256()
        for text in self.texts.to_pylist():
            content = text.encode("utf-8", "surrogatepass")
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
        digest.update(b"" if self.targets is None else self.targets.tobytes())
        return digest.hexdigest()


def read_unlabelled(config: RunConfig, train_split: LabelledTexts, test_split: LabelledTexts) -> Unlabelled:
    """Return the reviews without a label that come with a config's data, without what validation or test holds.

    Raises:
        DataError: They cannot be reached.
    """
    _, rows = cut_stratified(train_split.labels, config.data.validation_fraction, config.split_seed)
    held_out = pa.concat_arrays([train_split.take(rows).texts, test_split.texts])
    return Unlabelled(load_unlabelled(config.data, held_out))
