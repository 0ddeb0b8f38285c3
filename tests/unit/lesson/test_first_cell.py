"""The first cell in a Colab that is a folder: fake packages, fake pip, fake git, a real process."""

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import packaging
import pytest

from utils.errors import CourseError
from utils.lesson.first_cell import colab_badge, first_cell

ROOT = Path(__file__).resolve().parents[3]
CELL = first_cell("ada/course")

PIP = """
import json, os, pathlib, sys
site = pathlib.Path(__file__).parent.parent
arguments = sys.argv[1:]
held = pathlib.Path(arguments[arguments.index("--constraint") + 1]).read_text()
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps({"pip": arguments, "held": held}) + "\\n")
if os.environ.get("PIP_FAILS"):
    sys.exit("ERROR: no network")
from packaging.requirements import Requirement
for argument in arguments[arguments.index("--constraint") + 2:]:
    name = Requirement(argument).name.replace("-", "_")
    for old in site.glob(f"{name}-*.dist-info"):
        (old / "METADATA").unlink()
        (old / "top_level.txt").unlink()
        old.rmdir()
    lowest = next(iter(Requirement(argument).specifier)).version
    new = site / f"{name}-{lowest}.0.dist-info"
    new.mkdir()
    (new / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {lowest}\\n")
    (new / "top_level.txt").write_text(f"{name}\\n")
"""

GIT = """\
#!{python}
import json, os, pathlib, shutil, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps({{"git": sys.argv[1:]}}) + "\\n")
target = pathlib.Path(sys.argv[-1])
shutil.copytree("{root}/utils", target / "utils", ignore=shutil.ignore_patterns("__pycache__"))
shutil.copy("{root}/pyproject.toml", target)
"""


class Colab:
    """A Python without site-packages that sees only `site`, as if it were Colab's."""

    def __init__(self, folder: Path) -> None:
        self.site, self.work, self.calls_file = (folder / n for n in ("site", "content", "calls"))
        (self.site / "pip").mkdir(parents=True)
        (self.site / "pip" / "__init__.py").touch()
        (self.site / "pip" / "__main__.py").write_text(PIP)
        (self.site / "packaging").symlink_to(Path(packaging.__file__).parent)
        self.work.mkdir()
        git = folder / "bin" / "git"
        git.parent.mkdir()
        git.write_text(GIT.format(python=sys.executable, root=ROOT))
        git.chmod(0o755)
        self.env = {
            "PATH": f"{git.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.site),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CALLS": str(self.calls_file),
            "HF_HUB_OFFLINE": "1",
        }

    def is_colab(self) -> None:
        (self.site / "google" / "colab").mkdir(parents=True)
        (self.site / "google" / "colab" / "__init__.py").touch()

    def has(self, name: str, version: str) -> None:
        folder = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(text)
        (folder / "top_level.txt").write_text(name.replace("-", "_") + "\n")

    def has_everything_but(self, *names: str) -> None:
        from packaging.requirements import Requirement

        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for requirement in map(Requirement, project["dependencies"]):
            if requirement.name not in names:
                lowest = min(s.version for s in requirement.specifier if s.operator in (">=", "=="))
                self.has(requirement.name, lowest)

    def run(self, code: str, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, "-S", "-c", code],
            cwd=self.work,
            env={**self.env, **env},
            capture_output=True,
            text=True,
        )
        self.error = done.stderr
        return done.stdout

    def calls(self) -> list[dict]:
        if not self.calls_file.exists():
            return []
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]

    def installed(self) -> list[list[str]]:
        pip = [call["pip"] for call in self.calls() if "pip" in call]
        return [arguments[arguments.index("--constraint") + 2 :] for arguments in pip]


@pytest.fixture
def colab(tmp_path: Path) -> Colab:
    colab = Colab(tmp_path)
    colab.is_colab()
    return colab


def test_colab_fetches_the_course_and_installs_only_what_is_missing_or_too_old(
    colab: Colab,
) -> None:
    colab.has_everything_but("seqeval", "scikit-learn", "jupyterlab", "papermill")
    colab.has("scikit-learn", "1.2")
    printed = colab.run(CELL)
    assert colab.error == ""
    git = colab.calls()[0]["git"]
    assert "https://github.com/ada/course" in git
    (installed,) = colab.installed()
    assert [name.split(">")[0] for name in installed] == ["scikit-learn", "seqeval"]
    assert "Installing scikit-learn, seqeval" in printed
    assert "Restart" not in printed
    assert [line.split(":")[0] for line in printed.splitlines()[-3:]] == [
        "Device",
        "Sources",
        "Profile",
    ]


def test_twice_in_a_row_and_after_a_restart_nothing_new_happens(colab: Colab) -> None:
    colab.has_everything_but("seqeval")
    colab.run(f"cell = {CELL!r}\nexec(cell)\nexec(cell)")
    assert colab.error == ""
    assert len(colab.calls()) == 2  # one git, one pip
    printed = colab.run(CELL)  # a new process finds the copy
    assert colab.error == ""
    assert len(colab.calls()) == 2
    assert "Install" not in printed


def test_torch_and_numpy_are_never_replaced(colab: Colab) -> None:
    colab.has_everything_but("torch", "numpy", "seqeval")
    colab.has("torch", "2.1.0")
    colab.has("numpy", "1.26.4")
    printed = colab.run(CELL)
    (installed,) = colab.installed()
    assert [name.split(">")[0] for name in installed] == ["seqeval"]
    assert colab.calls()[-1]["held"].split() == ["torch==2.1.0", "numpy==1.26.4"]
    assert "torch 2.1.0 is left as it is" in printed


@pytest.mark.parametrize("imported", [True, False])
def test_a_restart_is_asked_for_only_if_an_imported_module_was_replaced(
    colab: Colab, imported: bool
) -> None:
    colab.has_everything_but("seaborn")
    colab.has("seaborn", "0.11")
    (colab.site / "seaborn.py").touch()
    printed = colab.run(("import seaborn\n" if imported else "") + CELL)
    assert ("Restart the runtime" in printed) is imported
    assert ("seaborn was in use" in printed) is imported


def test_a_failed_installation_says_why(colab: Colab) -> None:
    colab.has_everything_but("seqeval")
    colab.run(CELL, PIP_FAILS="1")
    assert "seqeval" in colab.error
    assert "no network" in colab.error
    assert "run this cell again" in colab.error


def test_a_package_that_is_also_called_utils_does_no_harm(colab: Colab) -> None:
    colab.has_everything_but()
    (colab.site / "utils").mkdir()
    (colab.site / "utils" / "__init__.py").touch()
    printed = colab.run("import utils\n" + CELL)
    assert colab.error == ""
    assert "Device:" in printed


def test_elsewhere_it_finds_the_project_from_the_folder_of_notebooks(tmp_path: Path) -> None:
    machine = Colab(tmp_path)
    machine.has_everything_but("seqeval")
    machine.work = ROOT / "notebooks"
    printed = machine.run(CELL)
    assert machine.error == ""
    assert machine.calls() == []
    assert "Not installed: seqeval. Run `make lab`" in printed


def test_elsewhere_without_the_project_it_says_what_to_do(tmp_path: Path) -> None:
    machine = Colab(tmp_path)
    machine.run(CELL)
    assert "make lab" in machine.error
    assert machine.calls() == []


@pytest.mark.parametrize(
    ("before", "env", "expected"),
    [
        ("", {}, "Profile: quick, unless"),
        ("", {"COURSE_PROFILE": "smoke"}, "Profile: smoke"),
    ],
)
def test_the_profile_is_reported(tmp_path: Path, before: str, env: dict, expected: str) -> None:
    machine = Colab(tmp_path)
    machine.work = ROOT / "notebooks"
    assert expected in machine.run(before + CELL, **env)


def test_the_cell_is_short_and_formatted_like_the_rest_of_the_project() -> None:
    assert len(CELL.splitlines()) <= 25
    ruff = [sys.executable, "-m", "ruff"]
    for command in (
        ["format", "--check", "-"],
        ["check", "--stdin-filename", "notebooks/x.py", "-"],
    ):
        done = subprocess.run([*ruff, *command], input=CELL + "\n", text=True, cwd=ROOT)
        assert done.returncode == 0, command


def test_importing_the_room_needs_nothing_but_python() -> None:
    code = textwrap.dedent("""
        import sys
        before = set(sys.modules)
        import utils.lesson
        loaded = {name.split(".")[0] for name in set(sys.modules) - before}
        print(sorted(loaded - set(sys.stdlib_module_names)))
    """)
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['utils']"


def test_the_badge_opens_the_notebook_of_the_repository() -> None:
    badge = colab_badge("ada/course", "notebooks/01_x.ipynb")
    address = "https://colab.research.google.com/github/ada/course/blob/main/notebooks/01_x.ipynb"
    assert badge.endswith(f"({address})")


@pytest.mark.parametrize("repository", ["course", "", 'a/b"; import os', "a/b/c"])
def test_only_owner_and_name_make_a_repository(repository: str) -> None:
    with pytest.raises(CourseError, match="owner/name"):
        first_cell(repository)
