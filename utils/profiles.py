"""The three sizes in which every lesson and every experiment can run.

`smoke` is for tests (seconds, embedded data only), `quick` for reading a lesson on a laptop
(minutes), `full` for published results (real data only, several seeds, hours on a CPU).
"""

from typing import Literal, TypeVar, cast, get_args

from utils.errors import CourseError

Profile = Literal["smoke", "quick", "full"]
PROFILES: tuple[Profile, ...] = get_args(Profile)

Value = TypeVar("Value")


def check(profile: str) -> Profile:
    """Return `profile` if it is one of `PROFILES`.

    Raises:
        CourseError: for any other value.
    """
    if profile not in PROFILES:
        raise CourseError(f"There is no profile {profile!r}. Choose one of: {', '.join(PROFILES)}.")
    return cast(Profile, profile)


def pick(profile: str, *, smoke: Value, quick: Value, full: Value) -> Value:
    """Return the value that belongs to `profile`; raises `CourseError` for an unknown profile."""
    return {"smoke": smoke, "quick": quick, "full": full}[check(profile)]
