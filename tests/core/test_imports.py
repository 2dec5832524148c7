"""The directions of imports, and what an import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Each may import what stands before it; names on one line may import each other from left to right.
ORDER = [
    ["errors"], ["wording"], ["settings"], ["config"], ["files"], ["tensor_file"],
    ["preprocessing"], ["data"], ["models"], ["evaluation"], ["charts"],
    ["job_folder"], ["runs"], ["trash"], ["run_groups"], ["model_figures"], ["default_model"], ["model_settings"], ["profiling"], ["label_reviews"], ["prediction"], ["training"], ["starter"], ["jobs"], ["report"], ["terminal"], ["model_ladder"], ["cli_runs"], ["cli_tables"], ["cli"], ["__main__"],
]  # fmt: skip
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
MODULES = sorted(path for path in (ROOT / "core").rglob("*.py") if path != ROOT / "core" / "__init__.py")


def imported_modules(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_imports_run_one_way(path: Path) -> None:
    group = path.relative_to(ROOT / "core").parts[0].removesuffix(".py")
    for module in imported_modules(path):
        top, _, rest = module.partition(".")
        assert top not in ("streamlit", "dashboard", "pages"), f"{path} looks outward: {module}"
        other = rest.partition(".")[0]
        if top == "core" and other in RANK:
            assert RANK[other] <= RANK[group], f"{path} imports {module}, which stands after it"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_of_pickle_is_near(path: Path) -> None:
    assert not {"pickle", "joblib", "cloudpickle", "dill"} & imported_modules(path)
    assert "torch.load" not in path.read_text()


def test_no_module_shadows_the_standard_library_or_a_dependency() -> None:
    taken = set(sys.stdlib_module_names) | {"torch", "datasets", "streamlit", "plotly", "pandas", "altair", "numpy"}
    # A package's submodule is always imported by its full name, so only what stands on a path of its own can shadow.
    assert not {path.stem for path in ROOT.glob("*.py")} & taken
    assert not {path.name for path in ROOT.iterdir() if path.is_dir()} & taken


def test_importing_core_loads_neither_torch_nor_streamlit_nor_any_library() -> None:
    code = (
        "import sys, core; print([m for m in ('torch','streamlit','datasets','numpy','pydantic') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, core.cli; print('torch' in sys.modules, 'datasets' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "False False"


def test_public_names_load_on_first_use_and_a_wrong_one_is_refused() -> None:
    import core

    assert callable(core.predict_sentiment) and callable(core.load_model) and callable(core.train)
    assert core.Predictor.__name__ == "Predictor"
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = core.nothing_of_the_kind


SCREEN = sorted([*(ROOT / "pages").glob("*.py"), *(ROOT / "dashboard").rglob("*.py")])


@pytest.mark.parametrize("path", SCREEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_screen_computes_nothing_and_renders_no_stranger_s_markup(path: Path) -> None:
    tops = {module.partition(".")[0] for module in imported_modules(path)}
    allowed = {"torch"} if path.name == "server.py" else set()
    assert not (tops & {"torch", "datasets", "sklearn"}) - allowed
    assert "pages" not in tops
    assert "unsafe_allow_html" not in path.read_text() and "unsafe_allow_javascript" not in path.read_text()
