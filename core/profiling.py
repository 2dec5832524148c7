"""The job that looks at a data set before anything is trained on it: ``cache/profiles/<key>/``."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core import settings
from core.config import LABELS, RunConfig, Section
from core.data.labelled import LabelledTexts
from core.data.sources import choose_split, load_columns
from core.evaluation.profile import DataProfile, TextView, profile_data, view_batch
from core.files import write_json
from core.job_folder import JobFolder, JobReporter, read_document

FORMAT_VERSION = 2  # of the result; another one gives other keys


class ProfileRequest(Section):
    """What a profile job was asked to do."""

    config: RunConfig


@dataclass(frozen=True)
class ProfileJob(JobFolder):
    """The folder of one data set as one config reads it: a job and its result."""

    @property
    def request(self) -> ProfileRequest:
        """Return what it was asked to do."""
        return read_document(self.path / "request.json", ProfileRequest)

    @property
    def result_file(self) -> Path:
        """Return where the profile is kept."""
        return self.path / "result.json"

    @property
    def result(self) -> DataProfile | None:
        """Return the profile, or None before it is there."""
        return read_document(self.result_file, DataProfile) if self.result_file.exists() else None


def create_profile_job(config: RunConfig) -> ProfileJob:
    """Make the folder of a profile job, or find it; the same data read in the same way has the same folder."""
    job = ProfileJob(settings.home() / "cache" / "profiles" / profile_key(config))
    if not (job.path / "request.json").exists():
        write_json(job.path / "request.json", ProfileRequest(config=config).model_dump(mode="json"))
    return job


def profile_key(config: RunConfig) -> str:
    """Return a name for all that a profile depends on; of a table its time of change too."""
    folder = settings.data_folder() if config.data.source == "imdb" else None
    table = Path(config.data.path) if config.data.path is not None else None
    depends = {
        "version": FORMAT_VERSION,
        **config.model_dump(mode="json", include={"data", "preprocessing", "model"}),
        "seed": config.training.seed,
        "batch_size": config.training.batch_size,
        "folder": None if folder is None else str(folder),
        "changed": table.stat().st_mtime_ns if table is not None and table.exists() else None,
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]


def execute_profile(job: ProfileJob, reporter: JobReporter) -> None:
    """Look at the data of a profile job and write what is found.

    Raises:
        ReviewscopeError: The data cannot be read.
    """
    with job.locked():
        job.save_state("running")
        reporter.on_phase("Loading the data", 0)
        config = job.request.config
        profile = profile_data(load_columns(config.data), config, reporter.on_phase)
        write_json(job.result_file, profile.model_dump(mode="json"))
        job.save_state("finished")


def profile_document(profile: DataProfile) -> dict[str, Any]:
    """Return a profile's figures as plain JSON values, without its bins of length and without any text."""
    splits = profile.splits
    within = ("repeated", "copies", "contradicting")
    return {
        "empty": {name: split.empty for name, split in splits.items()},
        "lengths": {
            name: split.model_dump(include={"median", "p90", "p99", "longest", "cut"}) for name, split in splits.items()
        },
        "duplicates": {
            "train_test": profile.train_test.rows,
            "train_test_contradicting": profile.train_test.contradicting,
            "train_valid": profile.train_valid.rows,
            "train_valid_contradicting": profile.train_valid.contradicting,
            "within": {name: split.model_dump(include=set(within)) for name, split in splits.items()},
        },
        "words": {
            "frequent": dict(profile.frequent),
            "one_sided": [asdict(word) for word in profile.one_sided],
        },
        "first_batch": None if profile.first_batch is None else profile.first_batch.model_dump(mode="json"),
    }


def profile_lines(profile: DataProfile, splits: dict[str, LabelledTexts], config: RunConfig) -> dict[str, str]:
    """Return a profile as lines for a terminal: a name and a sentence each."""
    lines = {}
    for name, split in profile.splits.items():
        lines[name] = (
            f"{split.n:,} reviews, {split.positive:,} positive, {split.empty:,} empty; "
            f"{split.median:,} words in the middle one, {split.p99:,} at 99 in 100, {split.longest:,} at most"
        )
    cut, most = sum(split.cut for split in profile.splits.values()), config.preprocessing.max_length
    unit = config.preprocessing.unit
    lines["cut"] = f"nothing: there is no limit of {unit}" if most is None else f"{cut:,} reviews, at {most:,} {unit}"
    lines["duplicates"] = (
        f"{profile.train_test.rows:,} of test also in train or valid, {profile.train_valid.rows:,} of valid also in "
        f"train; extra copies inside: "
        + ", ".join(f"{name} {split.copies:,}" for name, split in profile.splits.items())
    )
    lines["frequent"] = ", ".join(word for word, _ in profile.frequent)
    for label, sign in zip(LABELS, (-1, 1), strict=True):
        leaning = [word.word for word in profile.one_sided if word.log_odds * sign > 0]
        lines[f"more in {label}"] = ", ".join(leaning) or "no word"
    if profile.first_batch is None:
        return {**lines, "first batch": profile.no_batch}
    lines["first batch"] = f"of {profile.first_batch.size:,}, as the model reads them; unknown words in brackets:"
    views = view_batch(choose_split(splits, "train", config), profile.first_batch, config.preprocessing)
    for number, view in enumerate(views, 1):
        lines[f"  {number}"] = _view_line(view)
    return lines


def _view_line(view: TextView) -> str:
    words = (word if known else f"[{word}]" for word, known in zip(view.words, view.is_known, strict=True))
    shown, cut = " ".join(words), f" ({len(view.cut):,} words cut off)" if view.cut else ""
    return f"{LABELS[view.label]}: {shown if len(shown) <= 160 else shown[:159] + '…'}{cut}"
