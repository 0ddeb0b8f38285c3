"""The `course` command.

Exit status: 0 fine; 1 something failed, differs or got worse; 2 the call cannot be carried out (one
message on stderr, no traceback); 130 interrupted.
"""

import errno
import os
import sys

from utils import runtime
from utils.errors import CourseError

_SURROUNDINGS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
"""Faults of the machine, which a traceback would not help to mend."""


def main() -> None:
    """Entry point of the `course` command."""
    # A typer traceback would print all local variables, whole data sets included.
    os.environ.setdefault("TYPER_STANDARD_TRACEBACK", "1")
    os.environ.update(runtime.SHORT_WAITS | os.environ)
    from utils.cli.commands import app

    try:
        app()
    except CourseError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail("Interrupted.", 130)
    except OSError as error:
        if error.errno not in _SURROUNDINGS:
            raise
        place = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror}{place}. What was complete is kept.", 2)


def _fail(message: str, status: int) -> None:
    print(f"Error: {message}" if status == 2 else message, file=sys.stderr)
    sys.exit(status)
