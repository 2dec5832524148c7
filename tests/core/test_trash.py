from pathlib import Path

import pytest

from core.config import preset_config, with_data
from core.errors import RunError
from core.runs import Run, create_run, list_runs
from core.trash import empty_trash, list_trash, restore_run, trash_run


def make_run(name: str, status: str = "finished") -> Run:
    run = create_run(with_data(preset_config("fast"), "demo"), "fast", name)
    run.save_state(status)  # type: ignore[arg-type]
    return run


def test_a_deleted_run_is_gone_at_once_and_comes_back_whole() -> None:
    run = make_run("mine")
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    place = trash_run(run)
    assert list_runs() == [] and list_trash() == [place]
    restored = restore_run(place)
    assert restored.run_id == "mine" and list_trash() == []
    assert {path.name: path.read_bytes() for path in restored.path.iterdir()} == before


def test_a_name_that_was_taken_meanwhile_stays_with_its_new_owner() -> None:
    place = trash_run(make_run("mine"))
    make_run("mine").add_notice("the new one")
    assert restore_run(place).run_id == "mine-1"
    assert Run(Path(list_runs()[0].path).with_name("mine")).notices == ["the new one"]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_what_waits_or_runs_cannot_be_deleted(status: str) -> None:
    run = make_run("busy", "queued")
    if status == "running":
        with run.locked():
            run.save_state("running")
            with pytest.raises(RunError, match="busy is running. Stop it first"):
                trash_run(run)
    else:
        with pytest.raises(RunError, match="busy is queued. Stop it first"):
            trash_run(run)
    assert run.exists


def test_emptying_the_trash_says_what_it_frees() -> None:
    first, second = make_run("a"), make_run("b")
    size = first.size + second.size
    trash_run(first)
    trash_run(second)
    assert empty_trash() == size and list_trash() == [] and empty_trash() == 0
