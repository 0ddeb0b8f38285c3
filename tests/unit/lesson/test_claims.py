import json
from collections.abc import Callable

import numpy as np
import pytest

from utils.errors import CourseError
from utils.experiments import Record
from utils.lesson import claims as claims_module
from utils.lesson.claims import Claim, claim, claims_in
from utils.lesson.verdicts import evaluate

ON = {"dataset": "stanfordnlp/sst2", "n_train": 500}
RunsOf = Callable[..., list[Record]]


def claim_of(text: str = "tuned beats frozen", **changes) -> Claim:
    plain = {"better": {"method": "full"}, "worse": {"method": "frozen"}, "on": ON, "lesson": "01"}
    return Claim(text, **{**plain, **changes})


def test_a_clear_difference_holds_with_its_exact_mean(runs_of: RunsOf) -> None:
    better, worse = runs_of("full", 0.85), runs_of("frozen", 0.75)
    (verdict,) = evaluate([claim_of()], better + worse)
    expected = np.mean([r.metrics["accuracy"] for r in better]) - np.mean(
        [r.metrics["accuracy"] for r in worse]
    )
    result = verdict.as_dict()
    assert result["verdict"] == "holds"
    assert result["difference"] == pytest.approx(expected)
    assert result["low"] < expected < result["high"]
    assert result["n_seeds"] == 5
    assert result["model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert result["records"] == sorted(r.key for r in better + worse)


def test_the_opposite_does_not_hold(runs_of: RunsOf) -> None:
    records = runs_of("full", 0.75) + runs_of("frozen", 0.85)
    (verdict,) = evaluate([claim_of()], records)
    assert verdict.verdict == "does not hold"


def test_equal_methods_are_undecided(runs_of: RunsOf) -> None:
    (verdict,) = evaluate([claim_of()], runs_of("full", 0.8) + runs_of("frozen", 0.8))
    assert verdict.verdict == "undecided"


def test_a_margin_must_be_exceeded(runs_of: RunsOf) -> None:
    records = runs_of("full", 0.85) + runs_of("frozen", 0.75)
    small, large = evaluate([claim_of(margin=0.02), claim_of(margin=0.2)], records)
    assert (small.verdict, large.verdict) == ("holds", "does not hold")


def test_it_must_hold_at_each_condition(runs_of: RunsOf) -> None:
    records = runs_of("full", 0.85) + runs_of("frozen", 0.75)
    records += runs_of("full", 0.8, n_train=2000) + runs_of("frozen", 0.8, n_train=2000)
    both = claim_of(on={**ON, "n_train": [500, 2000]})
    alone, conjunction = evaluate([claim_of(), both], records)
    assert alone.verdict == "holds"
    assert conjunction.verdict == "undecided"
    assert conjunction.p is not None
    assert conjunction.p > 0.05 > (alone.p or 1)
    assert [c.on["n_train"] for c in conjunction.conditions] == [500, 2000]


def test_failing_at_one_condition_is_failing(runs_of: RunsOf) -> None:
    records = runs_of("full", 0.85) + runs_of("frozen", 0.75)
    records += runs_of("full", 0.6, n_train=16) + runs_of("frozen", 0.7, n_train=16)
    (verdict,) = evaluate([claim_of(on={**ON, "n_train": [16, 500]})], records)
    assert verdict.verdict == "does not hold"
    assert verdict.as_dict()["difference"] < 0


def test_holm_counts_every_claim_of_the_lesson_and_no_other(make_record) -> None:
    # 8 examples won and none lost in each seed: clear enough alone, not among many.
    base = np.zeros(200)
    won = base.copy()
    won[:8] = 1
    records = [make_record("full", s, won) for s in range(5)]
    records += [make_record("frozen", s, base) for s in range(5)]
    (alone,) = evaluate([claim_of()], records)
    assert alone.verdict == "holds"
    assert alone.p is not None
    others = [claim_of(f"other {i}", on={**ON, "n_train": 9 + i}) for i in range(400)]
    among, *rest = evaluate([claim_of(), *others], records)
    assert among.p == alone.p
    assert among.p_holm == pytest.approx(min(1.0, 401 * alone.p))
    assert {verdict.verdict for verdict in rest} == {"no records yet"}
    elsewhere = [claim_of(c.text, on=c.on, lesson="02") for c in others]
    assert evaluate([claim_of(), *elsewhere], records)[0].p_holm == alone.p


def test_not_worse_means_within_the_margin(runs_of: RunsOf) -> None:
    equal = runs_of("full", 0.8) + runs_of("frozen", 0.8)
    worse = runs_of("full", 0.7) + runs_of("frozen", 0.8)
    not_worse = claim_of(kind="not worse", margin=0.02)
    assert evaluate([not_worse], equal)[0].verdict == "holds"
    assert evaluate([not_worse], worse)[0].verdict == "does not hold"


def test_a_threshold_is_about_the_measured_mean(runs_of: RunsOf) -> None:
    records = runs_of("full", 0.85)
    reached = claim_of(kind="at least", at_least=0.82, worse=None)
    missed = claim_of(kind="at least", at_least=0.88, worse=None)
    first, second = evaluate([reached, missed], records)
    assert (first.verdict, second.verdict) == ("holds", "does not hold")
    assert first.p_holm is None
    mean = np.mean([record.metrics["accuracy"] for record in records])
    assert first.as_dict()["difference"] == pytest.approx(mean - 0.82)
    assert first.as_dict()["low"] < mean - 0.82 < first.as_dict()["high"]


TEXTBOOKS = {"dataset": "openstax/textbooks-en"}


@pytest.mark.parametrize(("n_right", "expected"), [(180, "holds"), (130, "does not hold")])
def test_a_claim_on_sentence_pairs(pretrained, n_right: int, expected: str) -> None:
    records = pretrained("mlm-nsp", [2.0] * 3, n_right) + pretrained("token-counts", [0.0] * 3, 150)
    wanted = claim_of(
        better={"method": "mlm-nsp"}, worse={"method": "token-counts"}, on=TEXTBOOKS,
        metric="nsp_accuracy_other_document",
    )  # fmt: skip
    (verdict,) = evaluate([wanted], records)
    assert verdict.verdict == expected
    assert verdict.as_dict()["difference"] == pytest.approx((n_right - 150) / 200)
    assert verdict.as_dict()["metric"] == "nsp_accuracy_other_document"
    text = verdict.markdown()
    assert "MLM + NSP, next sentence right (other document)" in text
    assert f"| {n_right / 200:.3f} | 0.750 | {(n_right - 150) / 2:+.1f} |" in text
    reached = claim_of(
        better={"method": "mlm-nsp"}, worse=None, on=TEXTBOOKS, kind="at least", at_least=0.7,
        metric="nsp_accuracy_other_document",
    )  # fmt: skip
    assert evaluate([reached], records)[0].verdict == ("holds" if n_right == 180 else expected)


def test_a_method_that_is_not_asked_for_pairs_is_undecided(pretrained) -> None:
    wanted = claim_of(
        better={"method": "mlm"}, worse={"method": "token-counts"}, on=TEXTBOOKS,
        metric="nsp_accuracy_other_document",
    )  # fmt: skip
    records = pretrained("mlm", [2.0] * 3) + pretrained("token-counts", [0.0] * 3, 150)
    (verdict,) = evaluate([wanted], records)
    assert verdict.verdict == "undecided"
    assert "no single answers" in verdict.markdown()


def gain_of(at_least: float) -> Claim:
    return claim_of(
        better={"method": "mlm"}, worse=None, on=TEXTBOOKS, kind="at least", at_least=at_least,
        metric="gain",
    )  # fmt: skip


def test_a_gain_is_at_least_so_many_nats(pretrained) -> None:
    records = pretrained("mlm", [2.4, 2.5, 2.6])
    reached, missed = evaluate([gain_of(2.3), gain_of(2.6)], records)
    assert (reached.verdict, missed.verdict) == ("holds", "does not hold")
    assert (reached.p, reached.p_holm) == (None, None)
    result = json.loads(json.dumps(reached.as_dict(), allow_nan=False))
    half = 4.30265 * 0.1 / 3**0.5  # Student's t, two degrees of freedom
    assert result["difference"] == pytest.approx(0.2)
    assert (result["low"], result["high"]) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-4)
    text = reached.markdown()
    assert "MLM, 15 % hidden, gain in nats | minus 2.3, in nats |" in text
    assert "| 2.500 | +0.200 | -0.048 to +0.448 | 3 |" in text
    assert "points" not in text


def test_two_seeds_are_not_enough_for_a_gain_either(pretrained) -> None:
    (verdict,) = evaluate([gain_of(2.3)], pretrained("mlm", [2.4, 2.5]))
    assert verdict.verdict == "undecided"
    assert "2 of the 3 seeds" in verdict.markdown()


def test_only_published_kinds_of_records_count(runs_of: RunsOf) -> None:
    worse = runs_of("frozen", 0.75)
    for ignored in ({"profile": "quick"}, {"kind": "embedded"}, {"split": "validation"}):
        (verdict,) = evaluate([claim_of()], runs_of("full", 0.85, **ignored) + worse)
        assert verdict.verdict == "no records yet", ignored


def test_two_seeds_are_not_enough(runs_of: RunsOf) -> None:
    (verdict,) = evaluate([claim_of()], runs_of("full", 0.95, seeds=2) + runs_of("frozen", 0.6))
    assert verdict.verdict == "undecided"
    assert "2 of the 3 seeds" in verdict.markdown()


def test_means_are_taken_over_the_seeds_that_both_have(runs_of: RunsOf) -> None:
    better, worse = runs_of("full", 0.85, seeds=3), runs_of("frozen", 0.75)
    (verdict,) = evaluate([claim_of()], better + worse)
    (measured,) = verdict.measured
    assert measured.n_seeds == 3
    assert measured.worse == pytest.approx(np.mean([r.metrics["accuracy"] for r in worse[:3]]))
    assert measured.difference == pytest.approx(measured.better - (measured.worse or 0))


def test_records_of_two_models_are_never_mixed(runs_of: RunsOf) -> None:
    records = runs_of("full", 0.85) + runs_of("full", 0.9, model="other/model")
    records += runs_of("frozen", 0.75)
    (verdict,) = evaluate([claim_of()], records)
    assert verdict.verdict == "undecided"
    assert "model" in verdict.markdown()
    named = claim_of(better={"method": "full", "model": "other/model"})
    assert evaluate([named], records)[0].verdict == "holds"


def test_the_dictionary_is_json_with_stable_keys(runs_of: RunsOf) -> None:
    for records in ([], runs_of("full", 0.85) + runs_of("frozen", 0.75)):
        (verdict,) = evaluate([claim_of()], records)
        result = json.loads(json.dumps(verdict.as_dict(), allow_nan=False))
        assert set(result) == {
            "lesson", "text", "kind", "metric", "threshold", "model", "verdict", "difference",
            "low", "high", "p", "p_holm", "n_seeds", "records", "conditions",
        }  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "f1_macro"},
        {"metric": "gain"},
        {"metric": "gain", "kind": "not worse", "margin": 0.1},
        {"kind": "best"},
        {"worse": None},
        {"kind": "not worse"},
        {"margin": -0.1},
        {"kind": "at least", "at_least": 0.8},
    ],
)
def test_a_claim_that_cannot_be_tested_is_refused(changes: dict) -> None:
    with pytest.raises(CourseError, match="cannot be tested"):
        claim_of(**changes)


SOURCE = """
# %%
lesson.claim("first", better={"method": "full"}, worse={"method": "frozen"},
             on={"n_train": [500, None]}, margin=0.01)
# %%
if True:
    claim("second", better={"method": "full"}, at_least=0.82, on={"n_train": 2000})
"""


def test_claims_are_read_from_source_in_order() -> None:
    first, second = claims_in(SOURCE, lesson="01")
    assert (first.text, first.margin, first.lesson) == ("first", 0.01, "01")
    assert first.conditions() == [{"n_train": 500}, {"n_train": None}]
    assert (second.kind, second.threshold) == ("at least", 0.82)


@pytest.mark.parametrize(
    "source",
    ["claim('x', better=BETTER, on={})", "claim(f'{x}', better={}, on={})", "claim('x', n=1)", "("],
)
def test_claims_with_anything_but_literals_are_refused(source: str) -> None:
    with pytest.raises(CourseError):
        claims_in(source, lesson="01")


def test_in_a_lesson_it_shows_its_verdict_corrected_for_its_siblings(
    page, runs_of: RunsOf, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    records = runs_of("full", 0.85) + runs_of("frozen", 0.75)
    monkeypatch.setattr("utils.experiments.published_records", lambda: records)
    monkeypatch.setattr(claims_module.runtime, "project_root", lambda: tmp_path)
    folder = tmp_path / "notebooks" / "source"
    folder.mkdir(parents=True)
    call = (
        'claim("tuned beats frozen", better={"method": "full"}, worse={"method": "frozen"},'
        ' on={"n_train": 500})\n'
    )
    (folder / "01_transfer.py").write_text(call + 5 * call.replace("500", "16"))
    (folder / "02_other.py").write_text("x = 1\n")
    exec(call, {"claim": claim})
    (output,) = page.outputs
    assert "✓ holds" in output["text/markdown"]
    found = claims_in((folder / "01_transfer.py").read_text(), "01")
    assert f"p = {evaluate(found, records)[0].p_holm:.3f}" in output["text/markdown"]


def test_in_a_lesson_it_never_raises(page, monkeypatch: pytest.MonkeyPatch) -> None:
    claim("nonsense", better={"method": "full"}, on=ON, metric="bleu")
    assert "choose one of accuracy, f1, answer_f1, rouge_l" in page.outputs[-1]["text/markdown"]

    def damaged() -> list[Record]:
        raise CourseError("The file is damaged.")

    monkeypatch.setattr("utils.experiments.published_records", damaged)
    claim("x", better={"method": "full"}, worse={"method": "frozen"}, on=ON)
    assert "The file is damaged." in page.outputs[-1]["text/plain"]
    monkeypatch.setattr("utils.experiments.published_records", lambda: [])
    claim("x", better={"method": "full"}, worse={"method": "frozen"}, on=ON)
    assert "no records yet" in page.outputs[-1]["text/plain"]
    claim("x", better={"colour": "red"}, worse={"method": "frozen"}, on=ON)
    assert "colour" in page.outputs[-1]["text/plain"]


def test_a_claim_on_models_that_were_pretrained_here(make_record) -> None:
    wanted = {"objective-mlm": 0.8, "objective-causal": 0.6}
    records = []
    for method, share in wanted.items():
        for seed in range(3):
            model = make_record(
                method, seed, np.ones(9), task="pretraining-objectives", n_train=None,
                dataset="openstax/textbooks-en", hyper={"flops": 1e13},
            )  # fmt: skip
            right = np.arange(400) < 400 * share + seed
            tuned = {"learning_rate": 1e-4 * (seed + 1)}
            records += [
                model,
                make_record("full", seed, right, model=f"run/{model.key}", hyper=tuned),
            ]
    transfers = Claim(
        "MLM transfers better.",
        better={"pretraining": "objective-mlm, equal FLOPs"},
        worse={"pretraining": "objective-causal, equal FLOPs"},
        on={"dataset": "stanfordnlp/sst2", "method": "full"},
    )
    (verdict,) = evaluate([transfers], records)
    assert verdict.verdict == "holds"
    assert verdict.as_dict()["difference"] == pytest.approx(0.2)
    assert (
        verdict.model
        == "those of objective-mlm, equal FLOPs and those of objective-causal, equal FLOPs"
    )
    (alone,) = evaluate([transfers], [r for r in records if r.spec.model])
    assert alone.verdict == "no records yet"
