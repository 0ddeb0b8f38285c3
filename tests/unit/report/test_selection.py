"""Which records may stand together."""

import pytest

from utils.errors import CourseError
from utils.report.selection import comparable, latest, select


def test_select_by_value_and_by_several(grid):
    chosen = select(grid, method="full", n_train=[16, None])
    assert {(r.spec.method, r.spec.n_train) for r in chosen} == {("full", 16), ("full", None)}
    assert select(grid, source="embedded") == []
    with pytest.raises(CourseError, match="colour"):
        select(grid, colour="red")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"profile": "quick"}, "profiles"),
        ({"kind": "embedded", "fingerprint": "5" * 16}, "sources of data"),
        ({"fingerprint": "5" * 16}, "sources of data"),
        ({"kind": "embedded"}, "sources of data"),
        ({"dataset": "fancyzhx/ag_news"}, "data sets"),
        ({"test_limit": 100}, "test examples"),
        ({"model": "another/model"}, "models"),
        ({"max_length": 128}, "maximal lengths"),
        ({"hyper": {"learning_rate": 1.0}}, "different hyper-parameters"),
    ],
)
def test_refuses_to_mix(make_record, change, what):
    with pytest.raises(CourseError, match=what):
        comparable([make_record(), make_record(**change)])


def test_who_has_more_labels_may_hold_out_more(make_record):
    few, many = make_record(n_train=64), make_record(n_train=None, validation_limit=4000)
    chosen = comparable([few, many])
    assert [cell.n_train for cell in chosen.cells] == [64, None]
    assert latest([few, many]) == [few, many]
    other = make_record("tfidf", n_train=None)
    with pytest.raises(CourseError, match="sizes of the validation split: 4000"):
        comparable([few, many, other])
    assert len(latest([few, many, other])) == 2


def test_losses_of_other_vocabularies_are_not_mixed(make_pretraining):
    with pytest.raises(CourseError, match="sizes of the vocabulary"):
        comparable([make_pretraining(), make_pretraining("mlm-5", vocab_size=4096)])
    # What a spec does not say is the method's default.
    default = make_pretraining("mlm-5", hyper={})
    assert comparable([make_pretraining(), default]).methods == ["mlm", "mlm-5"]


def test_mirror_and_hub_are_one_if_their_content_is(make_record):
    chosen = comparable([make_record(seed=0, kind="mirror"), make_record(seed=1, kind="hub")])
    assert len(chosen.records) == 2


def test_methods_without_a_model_go_with_any(make_record):
    assert comparable([make_record("tfidf"), make_record("full")]).methods == ["tfidf", "full"]


def test_stale_records_are_left_out_and_kept_apart(make_record):
    old = make_record(seed=1, versions={"task": 1, "method": 0})
    chosen = comparable([make_record(seed=0), old])
    assert chosen.stale == [old]
    assert [r.spec.seed for r in chosen.records] == [0]
    with pytest.raises(CourseError, match="1 of an older version"):
        comparable([old])


def test_trials_never_count_as_results(make_record):
    trial = make_record(seed=1, split="validation")
    assert comparable([make_record(), trial]).records == [make_record()]
    with pytest.raises(CourseError, match="no records"):
        comparable([trial])


def test_cells_come_in_the_order_of_methods_and_sizes(grid):
    chosen = comparable(list(reversed(grid)))
    assert chosen.sizes == [16, 64, 250, None]
    assert chosen.methods == [
        "majority", "tfidf", "frozen", "frozen-random", "full", "random-init",
    ]  # fmt: skip
    assert [r.spec.seed for r in chosen.cell("full", 16).records] == [0, 1, 2]
    assert chosen.cell("tfidf", None) is None
    assert chosen.cell("full", None).n_labels == 5000


def test_latest_keeps_what_fits_the_newest(make_record):
    old = make_record(seed=0, fingerprint="5" * 16, created="2026-01-01T00:00:00+00:00")
    new = make_record("tfidf", seed=0, created="2026-02-01T00:00:00+00:00")
    again = make_record(seed=1, hyper={"epochs": 9}, created="2026-02-02T00:00:00+00:00")
    before = make_record(seed=1, created="2026-01-30T00:00:00+00:00")
    assert latest([old, new, before, again]) == [new, again]
    assert latest([]) == []
