"""A bulk job that is killed, stopped or refused by the disk at any instant goes on to the bytes of one that was not."""

import csv
import errno
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.files import read_json
from core.models.model_file import save_model
from tests.core.prediction.bulk_lives import CHUNK_ROWS, Life, Report, Server, read_ending
from tests.core.prediction.small_models import train_small
from tests.core.training.kill_points import spread
from tests.texts import invent_reviews

every_model = pytest.mark.parametrize("kind", ["ngram", "bilstm"])
ROWS = 60
QUICK_TRIES = 8


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def write_table(path: Path) -> None:
    """Write rows of several parts: texts that stand again parts later, rows without text, and some that do not fit."""
    texts = invent_reviews(ROWS // 2).texts.to_pylist()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "body", "title", "day"])
        for row in range(ROWS):
            fits = [row % 50, "" if row % 11 == 5 else texts[row * 7 % len(texts)], "", f"2024-01-{1 + row % 28:02}"]
            writer.writerow(fits if row % 13 else fits[:2])


class Lives:
    """A job that nothing strikes, and what other lives of the same job, in a workspace of their own, come to."""

    def __init__(self, server: Server, folder: Path, kind: str) -> None:
        self.server, self.home = server, folder / "struck"
        predictor = train_small(kind)
        model, table = folder / f"{kind}.safetensors", folder / "table.csv"
        save_model(model, predictor.model, predictor.encoder, predictor.architecture)
        write_table(table)
        self.life = Life(str(folder / "whole"), str(table), str(model))
        report = server.live(self.life)
        assert not report.message, report.message
        self.seen, self.points = report.points, len(report.points)
        self.expected = read_ending(folder / "whole")

    def live(self, **changes: object) -> Report:
        """Let a life be lived in the other workspace."""
        return self.server.live(replace(self.life, home=str(self.home), **changes))

    def begin(self) -> None:
        """Empty the other workspace."""
        shutil.rmtree(self.home, ignore_errors=True)

    def is_equal_after(self, *strikes: dict[str, object]) -> bool:
        """Let lives that are killed follow each other, then one that is not; tell whether it ends as expected."""
        self.begin()
        for strike in strikes:
            report = self.live(**strike)
            assert report.killed, f"{strike} did not kill: {report}"
            for path in self.parts():
                pq.read_table(path)  # what has its final name is whole
        return self.end() == self.expected

    def end(self) -> dict[str, str]:
        """Go on to the end and return it."""
        report = self.live()
        assert not report.message, report.message
        (folder,) = self.home.glob("uploads/*/job-*")
        left = [path.name for path in folder.rglob(".*.tmp") if path.parent.name == "parts" or "facets" in path.name]
        assert not left, f"left behind: {left}"
        return read_ending(self.home)

    def parts(self) -> list[Path]:
        """Return the parts of the other workspace."""
        return sorted(self.home.glob("uploads/*/job-*/parts/[0-9]*.parquet"))


@pytest.fixture
def lives(server: Server, tmp_path: Path, kind: str) -> Lives:
    return Lives(server, tmp_path, kind)


def assert_all_equal(lives: Lives, strikes: list[tuple[dict[str, object], ...]]) -> None:
    unequal = [strike for strike in strikes if not lives.is_equal_after(*strike)]
    assert strikes and not unequal


@every_model
def test_a_job_killed_at_a_point_of_its_life_goes_on_to_the_same_bytes(lives: Lives) -> None:
    assert len(lives.expected) == -(-ROWS // CHUNK_ROWS) + 4, "parts, facets, raw CSV, result and state are compared"
    assert lives.points > 60, "the layer sees the job write"
    strikes = spread(lives.points, QUICK_TRIES, 1)
    assert_all_equal(lives, [({"strike_at": at, "power_cut": at % 2 == 0},) for at in strikes])


@every_model
def test_a_job_killed_in_the_middle_of_writing_a_part_keeps_those_before_it(lives: Lives) -> None:
    whole = sorted(Path(lives.life.home).glob("uploads/*/job-*/parts/*"))
    half_written = next(
        at for at, what in enumerate(lives.seen, 1) if what.startswith("write half") and "parts/.00002" in what
    )
    lives.begin()
    assert lives.live(strike_at=half_written).killed
    assert len([path for path in lives.home.glob("uploads/*/job-*/parts/.00002*") if path.stat().st_size]) == 1
    assert [path.read_bytes() for path in lives.parts()] == [path.read_bytes() for path in whole[:2]]
    kept = [path.stat().st_ino for path in lives.parts()]
    assert lives.end() == lives.expected
    assert [path.stat().st_ino for path in lives.parts()[:2]] == kept, "what was committed is not scored again"


@every_model
def test_a_stop_and_a_kill_after_it_change_nothing_of_the_end(lives: Lives) -> None:
    lives.begin()
    assert lives.live(stop_after=2).points and len(lives.parts()) == 2
    for at in (1, 2, 4, 6, 8, 60):  # the first while the table is looked for among those that are known
        assert lives.live(strike_at=at).killed
    assert lives.live(stop_after=1).points
    assert lives.end() == lives.expected


@pytest.mark.parametrize("kind", ["ngram"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fills_up_or_breaks_takes_nothing_that_was_committed(lives: Lives, code: int) -> None:
    for at in spread(lives.points, QUICK_TRIES, 2):
        lives.begin()
        report = lives.live(strike_at=at, code=code, lasting=True)
        assert report.message == "" or "Free some disk space" in report.message or "Check" in report.message
        before = [path.read_bytes() for path in lives.parts()]
        assert lives.end() == lives.expected
        assert [path.read_bytes() for path in lives.parts()[: len(before)]] == before


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_part_that_there_is_no_room_for_ends_the_job_with_a_sentence(lives: Lives) -> None:
    lives.begin()
    at = next(at for at, what in enumerate(lives.seen, 1) if what.startswith("write ") and "parts/.00003" in what)
    report = lives.live(strike_at=at, code=errno.ENOSPC)
    assert "00003.parquet: No space left on device" in report.message and "Free some disk space" in report.message
    (folder,) = lives.home.glob("uploads/*/job-*")
    assert read_json(folder / "state.json") == {"status": "failed", "message": report.message}
    assert len(lives.parts()) == 3 and lives.end() == lives.expected


@pytest.mark.slow
@every_model
def test_a_job_killed_at_every_point_of_its_life_goes_on_to_the_same_bytes(lives: Lives) -> None:
    assert_all_equal(lives, [({"strike_at": at},) for at in range(1, lives.points + 1)])


@pytest.mark.slow
@every_model
def test_a_job_killed_twice_or_by_power_cuts_goes_on_to_the_same_bytes(lives: Lives) -> None:
    draw = random.Random(3)
    twice = [({"strike_at": at}, {"strike_at": draw.randint(1, 30)}) for at in spread(lives.points - 40, 40, 3)]
    cuts = [({"strike_at": at, "power_cut": True},) for at in spread(lives.points, 40, 4)]
    assert_all_equal(lives, [*twice, *cuts])
