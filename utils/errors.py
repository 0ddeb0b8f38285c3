"""The one exception that is meant for people."""


class CourseError(Exception):
    """Something the user can put right.

    The message says what was wrong, what was expected and what to do. The command line prints it
    without a traceback and exits with status 2.
    """
