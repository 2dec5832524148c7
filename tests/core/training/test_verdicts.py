import json

import numpy as np
import pytest

from core.config import preset_config, with_data
from core.runs import Run, create_run
from core.tensor_file import write_tensor_file
from core.training.verdicts import VERDICTS_FORMAT, Verdicts, load_verdicts, pick_rows

LABELS = np.array([1, 1, 0, 0, 1, 0])
NOW = np.array([2.0, -3.0, -4.0, 1.0, 0.5, -0.25], np.float32)


def make_run() -> Run:
    return create_run(with_data(preset_config("fast"), "demo"), "fast")


def test_the_surest_stand_first_right_and_wrong() -> None:
    picked = pick_rows(Verdicts(1, 40, NOW, None), LABELS, 3)
    assert picked.right.tolist() == [2, 0, 4] and picked.wrong.tolist() == [1, 3]
    assert picked.newly_right.tolist() == picked.newly_wrong.tolist() == []


def test_only_verdicts_that_changed_since_the_validation_before_are_new() -> None:
    before = np.array([1.0, 3.0, 4.0, 1.0, -0.5, -1.0], np.float32)
    picked = pick_rows(Verdicts(2, 80, NOW, before), LABELS, 1)
    assert picked.newly_right.tolist() == [2] and picked.newly_right_count == 2
    assert picked.newly_wrong.tolist() == [1] and picked.newly_wrong_count == 1


def test_equally_sure_reviews_stand_in_the_order_of_the_data() -> None:
    level = Verdicts(1, 1, np.ones(6, np.float32), None)
    assert pick_rows(level, LABELS, 9).right.tolist() == [0, 1, 4]


def test_verdicts_of_other_data_are_refused() -> None:
    with pytest.raises(ValueError, match="6 verdicts and 5 labels"):
        pick_rows(Verdicts(1, 1, NOW, None), LABELS[:5], 3)


def test_verdicts_come_back_as_they_were_written_and_a_damaged_file_is_none() -> None:
    run = make_run()
    assert load_verdicts(run) is None
    write_tensor_file(run.verdicts_file, VERDICTS_FORMAT, json.dumps({"epoch": 3, "step": 120}), {"now": NOW})
    found = load_verdicts(run)
    assert found is not None and (found.epoch, found.step, found.before) == (3, 120, None)
    assert found.now.tolist() == NOW.tolist()
    content = bytearray(run.verdicts_file.read_bytes())
    content[-1] ^= 1
    run.verdicts_file.write_bytes(bytes(content))
    assert load_verdicts(run) is None
