"""Tables at the command line: ``evaluate`` on a labelled one, ``predict`` from file to file, ``bulk`` as a job."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import settings
from core.cli_tables import bulk, predict
from core.errors import JobError, ReviewscopeError
from core.prediction import bulk as engine
from core.prediction import bulk_job
from core.prediction.bulk_job import BulkJob
from core.prediction.predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")


def evaluate(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "core", "evaluate", "starter", "--data", str(path), *arguments, "--json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture
def stars(tmp_path: Path) -> Path:
    path = tmp_path / "stars.csv"
    path.write_text("text,stars\na great film,5\nso so,3\nan awful film,1\ndull,2\nlovely,4\n")
    return path


def test_a_table_of_stars_is_scored_whole_once_it_is_said_how_they_are_read(stars: Path) -> None:
    done = evaluate(stars, "--label-column", "stars", "--labels", "stars")
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["n"] == 4 and document["split"] == "all"
    assert sum(document["confusion"].values()) == 4


def test_one_row_gives_dashes_with_reasons_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("text,label\na great film,positive\n")
    document = json.loads(evaluate(path).stdout)
    metrics = document["metrics"]
    assert document["n"] == 1 and metrics["accuracy"]["value"] in (0, 1)
    assert metrics["roc_auc"]["value"] is None and "both labels" in metrics["roc_auc"]["method"]
    assert metrics["log_loss"]["value"] is None and "two reviews" in metrics["log_loss"]["method"]


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("text,stars\nfine,3\n", ["--label-column", "stars", "--labels", "3=left out"], "there is no review"),
        ("text,label\nfine,maybe\n", [], "1 row cannot be used"),
        ("text,label\nfine,maybe\n", ["--labels", "maybe=perhaps"], "perhaps"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_a_sentence(
    tmp_path: Path, content: str, arguments: list[str], words: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    done = evaluate(path, *arguments)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr


def test_labels_belong_to_a_table_and_not_to_a_data_set_of_ours() -> None:
    done = evaluate(Path("demo"), "--labels", "stars")
    assert done.returncode == 1 and "--labels belongs to a table" in done.stderr


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    rows = [f"{row},{'Superb' if row % 2 else 'Dull'},a film {row}\n" for row in range(30)]
    path.write_text("id,title,body\n" + "".join(rows) + "30,, \n31,x\n")
    return path


def score(capsys: pytest.CaptureFixture[str], source: Path, **options: Any) -> dict[str, Any]:
    """Run ``bulk`` in this process and return what it prints."""
    bulk(source, "starter", as_json=True, **options)
    document: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return document


def test_predict_joins_columns_reads_other_kinds_and_leaves_no_trace_in_the_workspace(
    reviews: Path, tmp_path: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict("starter", source=reviews, target=tmp_path / "out.csv", text_columns=["title", "body"], as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["rows"], document["predicted"], document["rejected"]) == (32, 30, 2)
    assert document["text_columns"] == ["title", "body"]
    texts = [f"{'Superb' if row % 2 else 'Dull'}\na film {row}" for row in range(30)]
    expected = Predictor.load("starter").predict(texts).probabilities
    found = [float(row["probability"]) for row in read_csv(tmp_path / "out.csv") if row["sentiment"]]
    assert found == pytest.approx(expected.tolist(), abs=2e-6)

    columns = {"title": ["Superb", "Dull"], "body": ["a film 1", "a film 0"], "n": [7, None]}
    pq.write_table(pa.table(columns), tmp_path / "reviews.parquet")
    (tmp_path / "reviews.jsonl").write_text(
        '{"title": "Superb", "body": "a film 1"}\n{"title": "Dull", "body": "a film 0"}\n'
    )
    for name in ("reviews.parquet", "reviews.jsonl"):
        predict("starter", source=tmp_path / name, target=tmp_path / f"{name}.csv", text_columns=["title", "body"])
        again = [float(row["probability"]) for row in read_csv(tmp_path / f"{name}.csv")]
        assert again == pytest.approx([expected[1], expected[0]], abs=2e-6), name
    assert not workspace.exists(), "predict leaves nothing behind"


def test_a_table_without_a_header_is_read_from_its_first_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare.csv").write_text("a superb film,1\na dull film,2\n")
    predict("starter", source=tmp_path / "bare.csv", target=tmp_path / "out.csv", no_header=True, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["rows"] == 2 and document["text_columns"] == ["column 1"]


def test_bulk_says_the_account_and_where_everything_is(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, report = tmp_path / "out.csv", tmp_path / "out.html"
    document = score(
        capsys,
        reviews,
        text_columns=["title", "body"],
        id_column="id",
        output=output,
        report=report,
        added=["intensity"],
    )
    assert (document["rows"], document["predicted"], document["rejected"], document["repeated"]) == (32, 30, 2, 0)
    assert document["repeated_ids"] == 0 and sum(document["reasons"].values()) == 2
    assert document["positive"] + document["not_sure"] + document["negative"] == 30
    share = document["share_positive"]
    assert share["low"] < share["value"] == document["positive"] / 30 < share["high"]
    job = BulkJob(Path(document["job"]))
    assert job.state.status == "finished" and job.upload.about.path == str(reviews)
    rows = read_csv(output)
    assert list(rows[0]) == ["id", "title", "body", "sentiment", "probability", "confidence", "intensity"]
    assert [row["id"] for row in rows] == [str(row) for row in range(31)]
    predict("starter", source=reviews, target=tmp_path / "same.csv", text_columns=["title", "body"])
    same = read_csv(tmp_path / "same.csv")
    assert [row | {"intensity": ""} for row in rows] == [row | {"intensity": ""} for row in same]
    assert (tmp_path / "out.rejects.csv").read_bytes() == (tmp_path / "same.rejects.csv").read_bytes()
    about = json.loads(Path(document["about_output"]).read_text())
    assert about["name"] == "out.csv" and about["size"] == output.stat().st_size
    assert report.read_text().lower().startswith("<!doctype html>")


def test_the_same_file_with_the_same_model_again_is_not_scored_again(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score(capsys, reviews)
    monkeypatch.setattr(Predictor, "load", lambda reference: pytest.fail("nothing is left to score"))
    assert score(capsys, reviews) == first
    also_written = score(capsys, reviews, output=tmp_path / "out.parquet")
    assert pq.read_table(also_written["output"]).num_rows == 31 and also_written["job"] == first["job"]


def test_ctrl_c_keeps_what_is_scored_and_the_same_command_goes_on(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.CHUNK_ROWS, "ngram", 10)
    monkeypatch.setattr("core.job_folder.REPORT_SECONDS", 0.0)
    write_part = bulk_job._write_part

    def write_and_interrupt(*arguments: Any) -> None:
        write_part(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(bulk_job, "_write_part", write_and_interrupt)
    with pytest.raises(JobError, match=r"Stopped at row 10 of 32\. What is scored is kept; the same command goes on"):
        score(capsys, reviews, output=tmp_path / "out.csv")
    assert "Stopping after this part" in capsys.readouterr().err and not (tmp_path / "out.csv").exists()
    monkeypatch.setattr(bulk_job, "_write_part", write_part)
    (folder,) = (settings.home() / "uploads").glob("*/job-*")
    kept = (folder / "parts" / "00000.parquet").stat().st_ino
    assert score(capsys, reviews)["rows"] == 32
    assert (folder / "parts" / "00000.parquet").stat().st_ino == kept


def test_a_workbook_is_converted_once_and_its_sheet_can_be_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(tmp_path / "book.xlsx") as book:
        for name, texts in (("other", ["nothing"]), ("reviews", ["a superb film", "a dull film"])):
            book.add_worksheet(name).write_column(0, 0, ["text", *texts])
    document = score(capsys, tmp_path / "book.xlsx", sheet="reviews", output=tmp_path / "out.csv")
    assert document["rows"] == 2 and [row["text"] for row in read_csv(tmp_path / "out.csv")] == [
        "a superb film",
        "a dull film",
    ]
    monkeypatch.setattr("core.prediction.uploads.convert_table", lambda *_: pytest.fail("it is converted"))
    assert score(capsys, tmp_path / "book.xlsx", sheet="reviews")["job"] == document["job"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": "out.txt"}, "ends in .csv, .xlsx, .parquet"),
        ({"report": "out.csv"}, "ends in .html"),
        ({"added": ["intensity"]}, "say with --output"),
        ({"added": ["mood"], "output": "out.csv"}, "--add mood"),
        ({"output": "reviews.csv"}, "would overwrite the input"),
        ({"text_columns": ["nothing"]}, "no column 'nothing'"),
        ({"id_column": "nothing"}, "no column 'nothing'"),
        ({"sheet": "one"}, "sheet"),
    ],
)
def test_what_bulk_cannot_do_is_refused_before_anything_is_scored(
    reviews: Path, options: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("output", "report"):
        if name in options:
            options = options | {name: reviews.parent / options[name]}
    with pytest.raises(ReviewscopeError, match=words):
        score(capsys, reviews, **options)
    assert not list(settings.home().glob("uploads/*/job-*/parts"))


def test_bulk_at_the_terminal_prints_one_json_line_and_fails_with_one_sentence(reviews: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core", "bulk", str(reviews), "--text-column", "title", "--text-column", "body"]
    done = subprocess.run(
        [*command, "--model", "starter", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and json.loads(done.stdout)["predicted"] == 30
    missing = [sys.executable, "-m", "core", "bulk", str(tmp_path / "missing.csv"), "--model", "starter"]
    failed = subprocess.run(missing, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert failed.returncode == 1 and "'missing.csv' cannot be opened" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
