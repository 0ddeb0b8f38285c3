"""What to run: one method on one task with one amount of data and one seed."""

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from utils.profiles import Profile

Value = bool | int | float | str


class Spec(BaseModel):
    """One experiment, complete: together with data, model and code versions it fixes the result.

    `n_train=None` means all examples. `data_seed` draws the training subset, `seed` initialises and
    shuffles. `split` is what is predicted: "test" for the reported split of the data set,
    "validation" for a trial of hyper-parameters. The limits are numbers of examples.

    `also` is what the model of the same training is tested on besides: "validation" for all of the
    data set's own validation split as it was loaded, or a data set of the task for its reported
    split (see `tagging.score_further`). Where it is empty, a spec is written without it: records
    from before there was such a field keep their keys.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = "text-classification"
    dataset: str
    model: str | None = None
    method: str
    n_train: int | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)
    data_seed: int = Field(default=0, ge=0)
    profile: Profile = "quick"
    split: Literal["test", "validation"] = "test"
    validation_limit: int = Field(default=500, ge=0)
    test_limit: int | None = Field(default=None, gt=0)
    max_length: int = Field(default=64, gt=1)
    hyper: dict[str, Value] = Field(default_factory=dict)
    also: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _without_empty_fields(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        if not self.also:
            content.pop("also", None)
        return content

    def identity(self) -> str:
        """The spec as JSON with sorted keys: the same for equal specs."""
        return _canonical(self.model_dump(mode="json"))

    def label(self) -> str:
        """A short name for progress lines."""
        n = "all" if self.n_train is None else self.n_train
        trial = " (trial)" if self.split == "validation" else ""
        return f"{self.dataset} · {self.method} · n={n} · seed {self.seed}{trial}"


def key_of(
    spec: Spec,
    data_fingerprint: str,
    model_fingerprint: str | None,
    versions: dict[str, int],
    also: dict[str, str] | None = None,
) -> str:
    """The record's key: 16 hex digits over exactly what determines the result.

    Args:
        spec: the experiment.
        data_fingerprint: of the data set's content, whichever way it came.
        model_fingerprint: of the pre-trained weights; None for methods without a model.
        versions: integer version of "task" and "method".
        also: fingerprints of other data sets that it is tested on, by their name.
    """
    identity = {
        "spec": spec.model_dump(mode="json"),
        "data": data_fingerprint,
        "model": model_fingerprint,
        "versions": versions,
    }
    if also:
        identity["also"] = also
    return hashlib.sha256(_canonical(identity).encode()).hexdigest()[:16]


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
