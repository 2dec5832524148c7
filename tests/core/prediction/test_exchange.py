"""A model goes out to a file and comes in from one under the same id; nothing unsound is kept."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from core.config import NgramConfig, PreprocessingConfig, RunConfig
from core.errors import ModelFileError, ReviewscopeError, RunError
from core.models.catalog import build_model, fit_encoder
from core.models.model_file import FORMAT, Architecture, Calibration, load_model_file, save_model
from core.prediction import exchange, trial
from core.prediction.exchange import check_model, export_model, import_model
from core.prediction.predictor import Predictor
from core.runs import create_run, find_model, imported_model_file
from core.tensor_file import read_tensor_file, write_tensor_file
from tests.texts import invent_reviews


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a small model."""
    config = RunConfig(
        preprocessing=PreprocessingConfig(min_frequency=1), model=NgramConfig(bucket_bits=10, min_reviews=1)
    )
    reviews = invent_reviews(30)
    encoder = fit_encoder(reviews.texts, config)
    model = build_model(config, encoder)
    model.prepare(encoder.encode(reviews.texts), reviews.labels)
    torch.nn.init.ones_(model.weight)
    path = tmp_path_factory.mktemp("made") / "made.safetensors"
    architecture = Architecture(preprocessing=config.preprocessing, model=config.model)
    save_model(path, model, encoder, architecture, Calibration(temperature=1.25, n=40))
    return path


@pytest.fixture
def soft_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the child process pass everything at once, for tests of what stands around it."""
    passed = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(exchange.subprocess, "run", lambda *_, **__: passed)


def with_wrong_shape(made: Path, target: Path) -> Path:
    """Write a file with a fitting checksum whose weights do not fit its architecture."""
    file = read_tensor_file(made, FORMAT)
    write_tensor_file(target, FORMAT, file.document, {**file.tensors, "model.weight": np.zeros(7, np.float32)})
    return target


def kept(workspace: Path) -> list[str]:
    return sorted(path.name for path in workspace.glob("models/*"))


def assert_not_imported(path: Path, workspace: Path, phrase: str) -> None:
    with pytest.raises(ModelFileError, match=phrase) as caught:
        import_model(path)
    assert str(caught.value).endswith(".") and len(str(caught.value)) <= 500
    assert kept(workspace) == []


def test_a_model_that_is_exported_and_imported_keeps_its_id_and_its_scores(
    made: Path, tmp_path: Path, workspace: Path
) -> None:
    run = create_run(RunConfig(), "fast", "my run")
    run.model_file.write_bytes(made.read_bytes())
    exported = tmp_path / "exports" / "model.safetensors"
    sha256 = export_model("my-run", exported)
    assert sha256 == load_model_file(made).sha256
    assert import_model(exported) == sha256
    assert kept(workspace) == [f"{sha256}.safetensors"]
    assert find_model(sha256) == find_model(sha256[:8]) == find_model(sha256[:40]) == imported_model_file(sha256)
    texts = ["a superb plot", "a dull plot", ""]
    assert np.array_equal(Predictor.load(sha256[:8]).predict(texts).logits, Predictor.load(made).predict(texts).logits)
    assert Predictor.load(sha256).sha256 == sha256
    assert Predictor.load(sha256).calibration == Calibration(temperature=1.25, n=40)


def test_a_model_with_an_odd_calibration_is_not_imported(made: Path, tmp_path: Path, workspace: Path) -> None:
    file = read_tensor_file(made, FORMAT)
    odd = tmp_path / "odd.safetensors"
    write_tensor_file(odd, FORMAT, file.document, file.tensors, '{"n":40,"temperature":1e9}')
    assert_not_imported(odd, workspace, "'odd.safetensors': its calibration is out of bounds")


def test_an_export_by_path_copies_the_file_to_the_letter(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "copy.safetensors"
    target.parent.mkdir()
    target.write_bytes(b"a former export")
    assert export_model(str(made), target) == read_tensor_file(made, FORMAT).sha256
    assert target.read_bytes() == made.read_bytes()


@pytest.mark.usefixtures("soft_trial")
def test_an_import_twice_keeps_one_copy(made: Path, tmp_path: Path, workspace: Path) -> None:
    again = tmp_path / "the same under another name.safetensors"
    again.write_bytes(made.read_bytes())
    assert import_model(made) == import_model(again)
    assert len(kept(workspace)) == 1
    assert imported_model_file(import_model(made)).read_bytes() == made.read_bytes()


@pytest.mark.usefixtures("soft_trial")
def test_an_imported_model_is_found_by_eight_characters_of_its_id_and_no_fewer(made: Path) -> None:
    sha256 = import_model(made)
    for reference in (sha256[:7], sha256[1:], sha256.upper()[:12] + "X", "0" * 64):
        with pytest.raises(RunError, match="There is no run"):
            find_model(reference)


@pytest.mark.usefixtures("soft_trial")
def test_a_beginning_that_two_imported_models_share_is_refused(made: Path) -> None:
    sha256 = import_model(made)
    imported_model_file(sha256[:10] + "0" * 54).write_bytes(b"another")
    with pytest.raises(RunError, match=f"2 imported models begin with '{sha256[:8]}'. Give more of the id"):
        find_model(sha256[:8])
    assert find_model(sha256) == imported_model_file(sha256)


@pytest.mark.parametrize("place", [0, 20, -1], ids=["in the length", "in the header", "in the weights"])
@pytest.mark.usefixtures("soft_trial")
def test_a_damaged_file_is_refused_and_nothing_is_kept(made: Path, tmp_path: Path, workspace: Path, place: int) -> None:
    damaged = bytearray(made.read_bytes())
    damaged[place] ^= 1
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(damaged)
    assert_not_imported(path, workspace, "Cannot load the model 'damaged.safetensors': ")
    target = tmp_path / "export.safetensors"
    with pytest.raises(ModelFileError, match="Cannot load the model"):
        export_model(str(path), target)
    assert not target.exists()


def test_the_trial_refuses_what_the_checksum_lets_pass(made: Path, tmp_path: Path, workspace: Path) -> None:
    path = with_wrong_shape(made, tmp_path / "crafted.safetensors")
    assert check_model(path) == read_tensor_file(path, FORMAT).sha256
    assert_not_imported(
        path, workspace, r"Cannot load the model 'crafted.safetensors': .* shapes or types .*: \['weight'\]\. Use"
    )


def test_a_trial_that_takes_too_long_is_ended_with_a_sentence(
    made: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "TRIAL_SECONDS", 0.01)
    assert_not_imported(made, workspace, "The model 'made.safetensors' took over 0.01 s .* was not imported")


TRACEBACK = """Traceback (most recent call last):
  File "/srv/reviewscope/core/prediction/trial.py", line 32, in <module>
RuntimeError: [enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: can't allocate memory
"""


@pytest.mark.parametrize(
    ("code", "stderr"), [(-9, ""), (-11, "\n"), (1, TRACEBACK)], ids=["killed", "crashed", "failed"]
)
def test_a_trial_that_ends_in_another_way_gives_a_sentence_that_names_the_file(
    made: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, code: int, stderr: str
) -> None:
    ended = subprocess.CompletedProcess([], code, "", stderr)
    monkeypatch.setattr(exchange.subprocess, "run", lambda *_, **__: ended)
    assert_not_imported(made, workspace, "'made.safetensors'")


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the trial's memory limit from this process."""
    monkeypatch.setattr(trial.resource, "setrlimit", lambda *_: None)


@pytest.mark.usefixtures("unlimited")
def test_the_trial_passes_a_sound_model_without_a_word(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trial.main(made) == 0
    assert capsys.readouterr() == ("", "")


def test_the_trial_limits_the_memory_before_it_opens_the_file(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(trial.resource, "setrlimit", lambda kind, limits: calls.append(limits))
    monkeypatch.setattr(trial.sys, "platform", "linux")
    monkeypatch.setattr(trial.Predictor, "load", lambda path: calls.append(path) or Predictor(load_model_file(path)))
    assert trial.main(made) == 0
    assert calls == [(trial.MEMORY_BYTES, trial.MEMORY_BYTES), made]


@pytest.mark.usefixtures("unlimited")
def test_the_trial_says_when_the_memory_is_not_enough(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(_: Path) -> Predictor:
        raise MemoryError

    monkeypatch.setattr(trial.Predictor, "load", load)
    assert trial.main(made) == exchange.REFUSED
    assert "more memory than an import may take" in capsys.readouterr().err


@pytest.mark.usefixtures("unlimited")
def test_the_trial_refuses_a_model_whose_finite_weights_give_an_infinite_score(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = read_tensor_file(made, FORMAT)
    every_bucket = np.full(128, 255, np.uint8)
    huge = {name: np.full(1025, 3e38, np.float32) for name in ("model.weight", "model.ratio")}
    path = tmp_path / "huge.safetensors"
    write_tensor_file(path, FORMAT, file.document, {**file.tensors, **huge, "encoder.active": every_bucket})
    assert trial.main(path) == exchange.REFUSED
    assert "a score that is not a finite number" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model.pth", "model.pt", "model.safetensors.zip", "model", "model.txt", ".pth"])
def test_an_export_to_another_ending_is_refused_and_writes_nothing(made: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ReviewscopeError, match=r"A model is exported as \.safetensors; '.*' has another ending"):
        export_model(str(made), tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".pkl", ".PTH"])
def test_an_import_of_a_pickle_s_ending_is_refused_with_the_reason(
    made: Path, tmp_path: Path, workspace: Path, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(made.read_bytes())
    assert_not_imported(path, workspace, rf"'weights{suffix}'.* can run code when they are opened.* as \.safetensors")


def test_an_import_of_a_missing_file_is_refused(tmp_path: Path, workspace: Path) -> None:
    assert_not_imported(tmp_path / "none.safetensors", workspace, "'none.safetensors': there is no such file")


def test_an_export_of_a_run_without_a_model_says_so(tmp_path: Path) -> None:
    create_run(RunConfig(), "fast", "young")
    with pytest.raises(RunError, match=r"Run young \(queued\) has no model yet"):
        export_model("young", tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()
