"""The first code cell of every lesson and its Colab badge: the one definition of their text."""

import re

from utils.errors import CourseError

_CELL = """\
# In Colab this fetches the course and installs what is missing; elsewhere it changes nothing.
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

try:
    from utils import lesson
except ImportError:  # not installed: use the project's folder, in Colab a copy fetched now
    places = [Path.cwd(), *Path.cwd().parents, Path.cwd() / "{name}"]
    root = next((place for place in places if (place / "utils/lesson").is_dir()), None)
    if root is None:
        if not (find_spec("google") and find_spec("google.colab")):
            raise ImportError("Run `make lab` in the folder of the course.") from None
        url = "https://github.com/{repository}"
        subprocess.run(["git", "clone", "--quiet", "--depth=1", url, places[-1]], check=True)
        root = places[-1]
    sys.modules.pop("utils", None)  # some other package of this name
    sys.path.insert(0, str(root))
    from utils import lesson

lesson.setup()"""


def first_cell(repository: str) -> str:
    """Source of the first code cell, the same in all lessons; running it twice changes nothing.

    Args:
        repository: "owner/name" on GitHub.
    """
    return _CELL.format(repository=_checked(repository), name=repository.split("/")[1])


def colab_badge(repository: str, notebook: str) -> str:
    """Markdown of the badge that opens a notebook in Colab.

    Args:
        repository: "owner/name" on GitHub.
        notebook: path inside the repository, such as "notebooks/01_transfer_learning.ipynb".
    """
    address = f"https://colab.research.google.com/github/{_checked(repository)}/blob/main"
    image = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open in Colab]({image})]({address}/{notebook})"


def _checked(repository: str) -> str:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise CourseError(
            f"{repository!r} is not a repository on GitHub. Write owner/name under "
            '[tool.course] in pyproject.toml, for example repository = "ada/course".'
        )
    return repository
