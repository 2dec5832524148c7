"""Models within another run's job: trained once, found again, and begun anew when what is left of them is damaged."""

from pathlib import Path

import pytest

from core.config import with_settings
from core.runs import Run
from core.training import keeper, members
from core.training.checkpoint import list_checkpoints
from core.training.members import configs_before, find_member, member_folder, train_member
from core.training.watcher import StopAsked, Watcher
from tests.core.training.small_presets import Calls, Killed, preset_on, read_data
from tests.core.training.small_presets import table as table


def test_a_member_is_trained_once_and_found_again_with_its_figures(table: Path) -> None:
    config = preset_on("compact", table)
    data, told = read_data(config), Calls()
    first = train_member(config, data, told.watcher(), "A title")
    second = train_member(config, data, Calls(kill_at=1).watcher(), "A title")
    assert "A title: training" in told.phases and first.model_file == second.model_file
    assert first.seconds == second.seconds > 0 and second.seconds_here == 0.0 < first.seconds_here
    figures = find_member(config, data.fingerprint)
    assert figures is not None and figures.n_valid == 24 and 0 <= (figures.valid_accuracy or -1) <= 1
    assert {path.name for path in first.model_file.parent.iterdir()} == {"figures.json", "model.safetensors"}


def test_the_same_split_spelt_otherwise_and_the_same_reviews_elsewhere_are_the_same_member(table: Path) -> None:
    config = preset_on("compact", table, seed=3)
    spelt = with_settings(config, ["data.split_seed=3"])
    moved = config.model_copy(update={"data": config.data.model_copy(update={"path": "/elsewhere.csv"})})
    assert member_folder(config, "f") == member_folder(spelt, "f") == member_folder(moved, "f")
    others = [
        with_settings(config, [change]) for change in ("data.split_seed=4", "training.seed=4", "model.hidden_size=4")
    ]
    assert len({member_folder(each, "f") for each in [config, *others]} | {member_folder(config, "g")}) == 5


def test_a_member_whose_model_is_damaged_is_trained_anew_to_the_same_file(table: Path) -> None:
    config = preset_on("compact", table)
    path = train_member(config, read_data(config), Watcher(), "").model_file
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert train_member(config, read_data(config), Watcher(), "").model_file.read_bytes() == content


def test_checkpoints_that_are_all_damaged_are_said_and_the_member_begins_anew(table: Path) -> None:
    config = preset_on("compact", table)
    data = read_data(config)
    with pytest.raises(StopAsked):
        train_member(config, data, Calls(stop_in="training").watcher(), "")
    folder = Run(member_folder(config, data.fingerprint))
    for path in list_checkpoints(folder.checkpoint_folder):
        path.write_bytes(b"damaged")
    told = Calls()
    train_member(config, data, told.watcher(), "Teacher")
    assert len(told.notices) == 1 and "not usable" in told.notices[0] and "begins anew" in told.notices[0]
    assert find_member(config, data.fingerprint) is not None


def test_seconds_are_counted_over_all_processes(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "CLOCK_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "CHECKPOINT_SECONDS", 0.0)
    config = preset_on("compact", table)
    data, clock = read_data(config), member_folder(config, read_data(config).fingerprint) / "seconds.json"
    with pytest.raises(Killed):
        train_member(config, data, Calls(kill_at=6).watcher(), "")
    clock.write_text('{"seconds": 100.0}')
    member = train_member(config, data, Watcher(), "")
    assert 100.0 < member.seconds < 160.0 and member.seconds_here < 60.0


def test_what_is_trained_first_is_listed_in_order(table: Path) -> None:
    found = configs_before(preset_on("distilled", table, seed=5))
    assert [each.model.kind for each in found.values()] == ["ngram", "bilstm", "ensemble"]
    assert {each.training.seed for each in found.values()} == {0}
    assert {each.split_seed for each in found.values()} == {5}
