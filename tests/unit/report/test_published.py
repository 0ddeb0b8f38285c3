"""Rendering, drift and publication of a folder of results."""

import json

import numpy as np
import pytest

from utils.errors import CourseError
from utils.experiments import Record, Spec, Store, read_records
from utils.experiments.spec import key_of
from utils.report import figures
from utils.report.publish import publish
from utils.report.published import NOTHING_YET, check, render_all, write, write_own

README = (
    "# Title\n<!-- course:begin results-at-a-glance -->\n<!-- course:end results-at-a-glance -->\n"
)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "results").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def records(make_record):
    return [make_record(m, n, s) for m in ("tfidf", "full") for n in (16, 64) for s in range(2)]


@pytest.fixture
def published(project, records):
    publish(records, project / "results", name="learning-curves", readme=project / "README.md")
    return project


def drift(project):
    return check(project / "results", project / "README.md")


def snapshot(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_without_records_the_pages_say_so(project):
    changes = write(project / "results", project / "README.md")
    assert {change.path.name for change in changes} == {"README.md", "figures.json"}
    assert NOTHING_YET in (project / "README.md").read_text()
    assert NOTHING_YET in (project / "results" / "README.md").read_text()
    assert drift(project) == []


def without_notes(table):
    return table.split("\n\n- ")[0].strip()


def test_published_pages_tables_and_figures_agree(published):
    results = published / "results"
    names = {p.name for p in (results / "tables").iterdir()}
    assert "learning-curves_stanfordnlp-sst2.md" in names
    assert "cost-to-reach_stanfordnlp-sst2.csv" in names
    table = (results / "tables" / "learning-curves_stanfordnlp-sst2.md").read_text()
    assert without_notes(table) in (published / "README.md").read_text()
    assert table.strip() in (results / "README.md").read_text()
    assert (
        "](results/figures/learning-curves_stanfordnlp-sst2.svg)"
        in (published / "README.md").read_text()
    )
    assert (results / "figures" / "learning-curves_stanfordnlp-sst2.svg").exists()
    assert drift(published) == []


def change_one_digit(path):
    text = path.read_text()
    row = next(line for line in text.splitlines() if line.startswith("| Fine-tuning"))
    place = next(i for i, c in enumerate(row) if c.isdigit())
    changed = row[:place] + str((int(row[place]) + 1) % 10) + row[place + 1 :]
    path.write_text(text.replace(row, changed, 1))
    return changed


@pytest.mark.parametrize(
    "name",
    ["README.md", "results/README.md", "results/tables/learning-curves_stanfordnlp-sst2.md"],
)
def test_one_changed_digit_is_found_and_put_right(published, name):
    before = (published / name).read_bytes()
    changed = change_one_digit(published / name)
    (found,) = drift(published)
    assert found.path == published / name
    assert found.kind == "changed"
    assert changed[:60] in found.detail
    write(published / "results", published / "README.md")
    assert (published / name).read_bytes() == before


def test_missing_and_extra_files_are_found(published):
    (published / "results/tables/costs_stanfordnlp-sst2.csv").unlink()
    (published / "results/tables/mine.md").write_text("typed by hand")
    assert [(c.path.name, c.kind) for c in drift(published)] == [
        ("costs_stanfordnlp-sst2.csv", "added"), ("mine.md", "removed"),
    ]  # fmt: skip
    write(published / "results", published / "README.md")
    assert drift(published) == []
    assert not (published / "results/tables/mine.md").exists()


def test_a_changed_picture_is_found(published):
    path = published / "results/figures/learning-curves_stanfordnlp-sst2.svg"
    path.write_bytes(path.read_bytes().replace(b"</svg>", b"<!-- touched --></svg>"))
    assert [c.path for c in drift(published)] == [path]


def test_up_to_date_pictures_are_not_drawn_again(published, monkeypatch):
    # As after an update of Matplotlib: it would draw other bytes, but is not asked to.
    monkeypatch.setattr(figures, "svg", lambda figure: b"other bytes")
    assert drift(published) == []


def test_records_that_change_without_rendering_are_found(published):
    file = published / "results/records/learning-curves.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    names = {c.path.name for c in drift(published)}
    assert "learning-curves_stanfordnlp-sst2.md" in names
    assert "README.md" in names


def test_a_readme_without_the_block_is_an_error_and_nothing_is_written(project, records):
    (project / "README.md").write_text("# Title\n")
    with pytest.raises(CourseError, match="no block 'results-at-a-glance'"):
        publish(records, project / "results", name="x", readme=project / "README.md")
    assert snapshot(project / "results") == {}


def test_text_around_blocks_stays(published):
    page = published / "results/README.md"
    page.write_text("My words.\n\n" + page.read_text() + "\nMore words.\n")
    assert drift(published) == []


def test_the_readme_shows_table_and_figure_and_leaves_the_notes_to_the_page(published):
    readme = (published / "README.md").read_text()
    page = (published / "results/README.md").read_text()
    assert "**stanfordnlp/sst2: accuracy in %" in readme
    assert "![Line chart of accuracy" in readme
    assert "- Each cell: mean" in page
    assert "- Each cell: mean" not in readme
    (heading,) = [line for line in page.splitlines() if line.startswith("## stanfordnlp/sst2")]
    fragment = heading.removeprefix("## ").replace(" ", "-")
    for mark in "/(),":
        fragment = fragment.replace(mark, "")
    assert f"(results/README.md#{fragment})" in readme


# Publishing -------------------------------------------------------------------------------------


def test_publishing_writes_sorted_lines_and_reports(project, records, make_record):
    results = project / "results"
    first = publish(records[:4], results, name="learning-curves")
    assert len(first.added) == 4
    second = publish(records, results, name="learning-curves")
    assert len(second.added) == 4
    assert len(second.unchanged) == 4
    file = results / "records/learning-curves.jsonl"
    keys = [json.loads(line)["key"] for line in file.read_text().splitlines()]
    assert keys == sorted(r.key for r in records)
    assert {r.key: r for r in read_records(file)} == {r.key: r for r in records}
    third = publish(records, results, name="learning-curves")
    assert (third.added, third.changes) == ([], [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"profile": "quick"}, "profile quick"),
        ({"kind": "embedded"}, "embedded stand-in"),
        ({"kind": "folder"}, "a file of your own"),
        ({"versions": {"task": 1, "method": 0}}, "stale"),
    ],
)
def test_refuses_what_must_not_be_published(project, records, make_record, change, message):
    with pytest.raises(CourseError, match=message):
        publish([*records, make_record(seed=9, **change)], project / "results", name="x")
    assert snapshot(project / "results") == {}


def test_refuses_a_record_that_contradicts_itself(project, make_record):
    record = make_record()
    false = record.model_copy(update={"metrics": {**record.metrics, "accuracy": 0.99}})
    with pytest.raises(CourseError, match="contradicts itself"):
        publish([false], project / "results", name="x")


def test_refuses_other_results_under_the_same_key(published, make_record):
    before = snapshot(published / "results")
    other = make_record("full", 16, 0, correct=np.arange(200) < 11)
    with pytest.raises(CourseError, match="published with other results"):
        publish([other], published / "results", name="learning-curves")
    with pytest.raises(CourseError, match="published with other results"):
        publish([other], published / "results", name="another-file")
    assert snapshot(published / "results") == before


def test_refuses_what_cannot_stand_in_one_table_and_writes_nothing(published, make_record):
    before = snapshot(published / "results")
    with pytest.raises(CourseError, match="sources of data"):
        publish([make_record(seed=9, fingerprint="9" * 16)], published / "results", name="more")
    with pytest.raises(CourseError, match="lower-case"):
        publish([make_record()], published / "results", name="../x")
    with pytest.raises(CourseError, match="no records"):
        publish([], published / "results", name="x")
    assert snapshot(published / "results") == before


def test_a_stale_record_makes_way_for_its_successor(project, make_record):
    old = make_record(versions={"task": 1, "method": 0})
    other = make_record(seed=5, versions={"task": 1, "method": 0})
    file = project / "results/records/learning-curves.jsonl"
    file.parent.mkdir()
    file.write_text("".join(f"{r.model_dump_json()}\n" for r in (old, other)))
    result = publish([make_record()], project / "results", name="learning-curves")
    assert result.superseded == [old.key]
    assert {r.key for r in read_records(file)} == {make_record().key, other.key}


def test_an_experiment_with_other_settings_makes_way(project, make_record, make_pretraining):
    old = [make_record(hyper={"learning_rate": 1e-4}), make_record(seed=1)]
    trials = [make_record(split="validation", hyper={"learning_rate": r}) for r in (1e-4, 5e-4)]
    budgets = [
        make_pretraining("objective-mlm", task="pretraining-objectives", hyper=hyper)
        for hyper in ({"flops": 1e13}, {"n_steps": 790})
    ]
    first = publish([*old, *trials, *budgets], project / "results", name="x")
    assert not first.superseded
    new = make_record(hyper={"learning_rate": 5e-4})
    assert publish([new], project / "results", name="x").superseded == [old[0].key]
    together = [make_record(hyper={"learning_rate": 1e-4}, created="2025-01-01"), new]
    assert not publish(together, project / "results", name="x").added
    longer = make_pretraining(
        "objective-mlm", task="pretraining-objectives", hyper={"n_steps": 900}
    )
    assert publish([longer], project / "results", name="x").superseded == [budgets[1].key]


def test_what_was_measured_with_an_earlier_checkpoint_makes_way(project, make_record):
    def with_weights(fingerprint, **fields):
        content = make_record(model="course/course-bert-mini", **fields).model_dump()
        mark = {"kind": "course", "fingerprint": fingerprint}
        content["provenance"]["model_source"] = mark
        spec, versions = Spec(**content["spec"]), content["provenance"]["versions_of"]
        content["key"] = key_of(spec, "1111222233334444", fingerprint, versions)
        return Record(**content)

    old = [with_weights("a" * 16), with_weights("a" * 16, seed=1), make_record("tfidf")]
    publish(old, project / "results", name="x")
    again = publish([with_weights("a" * 16, seed=2)], project / "results", name="x")
    assert not again.superseded
    result = publish([with_weights("b" * 16, seed=5)], project / "results", name="x")
    known = [*old[:2], with_weights("a" * 16, seed=2)]
    assert result.superseded == sorted(record.key for record in known)


def test_only_stale_records_make_a_page_that_says_so(project, make_record):
    file = project / "results/records/x.jsonl"
    file.parent.mkdir()
    file.write_text(make_record(versions={"task": 1, "method": 0}).model_dump_json() + "\n")
    write(project / "results")
    assert "only stale records (1 record)" in (project / "results/README.md").read_text()


def test_trials_are_published_but_never_shown(project, make_record):
    trial = make_record("tfidf", split="validation", hyper={"C": 1.0})
    publish([make_record(), trial], project / "results", name="x")
    pages = "".join(p.read_text() for p in (project / "results/tables").iterdir())
    assert make_record().key in pages
    assert trial.key not in pages


# One's own runs ---------------------------------------------------------------------------------


def test_own_runs_of_any_profile_and_source(tmp_path, make_record):
    store = Store(tmp_path / "records")
    quick = {"profile": "quick", "kind": "embedded"}
    for record in (
        make_record("full", 16, **quick),
        make_record("tfidf", 16, **quick),
        make_record("tfidf", 16, seed=1, fingerprint="9" * 16, created="2025-01-01", **quick),
        make_record("full", 16, dataset="fancyzhx/ag_news"),
        make_record("full", 16, dataset="fancyzhx/ag_news", model="another/model"),
    ):
        store.put(record)
    paths = write_own(tmp_path)
    names = {path.name for path in paths}
    assert paths[0] == tmp_path / "README.md"
    assert all(path.exists() for path in paths)
    assert "learning-curves_stanfordnlp-sst2_quick_embedded.md" in names
    assert "learning-curves_fancyzhx-ag-news_another-model.md" in names
    page = paths[0].read_text()
    assert "1 record with older settings or data left out" in page
    assert "embedded stand-in" in page
    # Nothing else in the folder is touched.
    (tmp_path / "tables/other.md").write_text("of another tool")
    write_own(tmp_path)
    assert (tmp_path / "tables/other.md").exists()


def test_rendering_without_a_readme_leaves_it_alone(project, make_record):
    assert project / "README.md" not in render_all(project / "results")


def test_pretraining_has_a_table_costs_and_curves(published, pretraining_records):
    results, readme = published / "results", published / "README.md"
    publish(pretraining_records, results, name="pretraining", readme=readme)
    names = {p.name for p in (results / "tables").iterdir() if "textbooks" in p.name}
    assert names == {
        f"{kind}_openstax-textbooks-en.{ending}"
        for kind in ("pretraining", "costs")
        for ending in ("md", "csv")
    }
    table = (results / "tables" / "pretraining_openstax-textbooks-en.md").read_text()
    assert table.strip() in (results / "README.md").read_text()
    for page in (readme, results / "README.md"):
        assert without_notes(table) in page.read_text()
        assert "the lowest loss of 2 ways to pre-train is that of MLM, 15 % hidden" in (
            page.read_text()
        )
    assert "### openstax/textbooks-en (real data, profile full)" in readme.read_text()
    assert "](results/figures/pretraining_openstax-textbooks-en.svg)" in readme.read_text()
    assert "cost of one run" not in readme.read_text()
    assert drift(published) == []


def test_joined_data_sets_are_named_as_such(project, make_pretraining):
    joined = {"dataset": "openstax/textbooks-en+COST-ELTeC/ELTeC-eng"}
    records = [make_pretraining("token-counts", **joined), make_pretraining("mlm-nsp", **joined)]
    publish(records, project / "results", name="course-bert", readme=project / "README.md")
    page = (project / "results" / "README.md").read_text()
    assert "## openstax/textbooks-en + COST-ELTeC/ELTeC-eng (real data, profile full)" in page
    name = "pretraining_openstax-textbooks-en-cost-eltec-eltec-eng.csv"
    assert (project / "results" / "tables" / name).exists()


def test_two_models_on_one_data_set_stand_side_by_side(published, make_record):
    other = "course/course-bert-mini"
    results, readme = published / "results", published / "README.md"
    records = [make_record("full", n, s, model=other) for n in (16, 64) for s in range(2)]
    records.append(make_record("frozen-random", 64, model=other))
    publish(records, results, name="course-bert-transfer", readme=readme)
    names = {p.name for p in (results / "tables").iterdir()} | {
        p.name for p in (results / "figures").iterdir()
    }
    minilm = "sentence-transformers-all-minilm-l6-v2"
    for slug in (minilm, "course-course-bert-mini"):
        assert f"learning-curves_stanfordnlp-sst2_{slug}.md" in names
        assert f"learning-curves_stanfordnlp-sst2_{slug}.svg" in names
    assert "learning-curves_stanfordnlp-sst2.md" not in names  # of before there were two
    text = readme.read_text()
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert headings == [
        f"### stanfordnlp/sst2 with {model} (real data, profile full)"
        for model in (other, "sentence-transformers/all-MiniLM-L6-v2")
    ]
    assert f"by number of labelled examples; model: {other}**" in text
    assert f"The model is {other}.]" in text
    mine = results / "tables" / "learning-curves_stanfordnlp-sst2_course-course-bert-mini.md"
    lines = mine.read_text().splitlines()
    assert any(line.startswith("| TF-IDF") for line in lines)  # goes with each model
    assert next(x for x in lines if x.startswith("| Frozen random")).endswith("| no |")
    assert "OpenStax" in mine.read_text()
    assert drift(published) == []


def test_generated_data_has_tables_but_no_figures_and_no_place_in_the_readme(
    published, make_record
):
    copied = [
        make_record(
            "encoder-decoder", 640, seed, correct=np.ones(200, bool), kind="generated",
            task="sequence-copying", dataset="course/copy",
        )
        for seed in range(2)
    ]  # fmt: skip
    results, readme = published / "results", published / "README.md"
    before = readme.read_text()
    publish(copied, results, name="sequence-copying", readme=readme)
    page = (results / "README.md").read_text()
    assert "## course/copy (generated data, profile full)" in page
    assert (
        "On course/copy, encoder–decoder from random weights with 640 labels reaches 100.0 %"
        in page
    )
    assert (results / "tables" / "costs_course-copy.csv").exists()
    assert ",full,generated,2," in (results / "tables" / "costs_course-copy.csv").read_text()
    assert not list((results / "figures").glob("*course-copy*"))
    assert readme.read_text() == before
    assert drift(published) == []
