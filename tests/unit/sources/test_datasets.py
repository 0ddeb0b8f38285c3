"""Data sets: the order of the places, what each refuses, and how folders are read."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyarrow import csv

from utils import runtime, sources
from utils.errors import CourseError

SST2 = "stanfordnlp/sst2"


@pytest.fixture
def mirror(tmp_path: Path, make_dataset: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with one data set that has a stand-in, and one that has not."""
    folder = tmp_path / "mirror"
    make_dataset(folder / "datasets" / SST2, ["good", "bad"], [1, 0])
    make_dataset(folder / "datasets" / "someone" / "reviews", ["fine", "dull", "new"], [1, 0, 1])
    monkeypatch.setenv("COURSE_MIRROR", str(folder))
    return folder


# The order of the places


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_the_mirror_comes_first_and_asks_no_network(
    mirror: Path, small_corpora: Path, network: list[Any], profile: str
) -> None:
    dataset, source = sources.load_dataset(SST2, profile=profile)
    assert {name: list(split["text"]) for name, split in dataset.items()} == {
        "train": ["good", "bad"],
        "test": ["good"],
    }
    assert dataset["train"].features["label"].int2str([1, 0]) == ["yes", "no"]
    assert (source.kind, source.location, source.revision) == ("mirror", "mirror", None)
    assert source.licence == "CC BY 4.0, for tests"
    assert source.note == ""
    assert network == []


def test_smoke_is_embedded_even_with_a_mirror(
    mirror: Path, small_corpora: Path, network: list[Any]
) -> None:
    dataset, source = sources.load_dataset(SST2, profile="smoke")
    assert list(dataset["train"]["sentence"]) == ["A joy.", "A bore."]
    assert (source.kind, source.location) == ("embedded", "embedded (sentiment)")
    assert source.licence == "CC0, for tests"
    assert network == []


def test_smoke_does_not_look_at_a_broken_mirror(
    small_corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_MIRROR", "/nowhere/at/all")
    assert sources.load_dataset(SST2, profile="smoke")[1].kind == "embedded"


def test_embedded_stand_ins_have_the_features_of_the_real_sets(small_corpora: Path) -> None:
    sentiment = sources.load_dataset(SST2, profile="smoke")[0]["train"].features
    assert {name: getattr(f, "dtype", None) for name, f in sentiment.items()} == {
        "idx": "int32",
        "sentence": "string",
        "label": "int64",
    }
    assert sentiment["label"].names == ["negative", "positive"]
    topics = sources.load_dataset("fancyzhx/ag_news", profile="smoke")[0]["train"].features
    assert list(topics) == ["text", "label"]
    assert topics["label"].names == ["World", "Sports", "Business", "Sci/Tech"]


def test_quick_falls_back_and_says_why(small_corpora: Path, network: list[Any]) -> None:
    source = sources.load_dataset(SST2, profile="quick")[1]
    assert source.kind == "embedded"
    assert "mirror: COURSE_MIRROR is not set" in source.note
    assert "Hub: no revision is pinned" in source.note


@pytest.mark.parametrize("options", [{"profile": "full"}, {"require": "real"}])
def test_real_data_are_never_embedded(small_corpora: Path, options: dict[str, str]) -> None:
    with pytest.raises(CourseError) as caught:
        sources.load_dataset(SST2, **options)
    message = str(caught.value)
    assert "- mirror: COURSE_MIRROR is not set" in message
    assert "- Hub: no revision is pinned" in message
    assert "Set COURSE_MIRROR" in message
    assert f"course pin {SST2}" in message


def test_smoke_cannot_have_real_data(small_corpora: Path) -> None:
    with pytest.raises(CourseError, match="smoke uses embedded"):
        sources.load_dataset(SST2, profile="smoke", require="real")


def test_what_is_nowhere_is_listed_place_by_place(mirror: Path, small_corpora: Path) -> None:
    with pytest.raises(CourseError) as caught:
        sources.load_dataset("someone/else")
    for line in ("- mirror: no datasets/someone/else", "- Hub: ", "- embedded: no corpus stands"):
        assert line in str(caught.value)


@pytest.mark.parametrize("options", [{"profile": "huge"}, {"require": "fake"}])
def test_unknown_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(CourseError, match=r"huge|fake"):
        sources.load_dataset(SST2, **options)


def test_an_unreachable_hub_ends_in_the_stand_in(tmp_path: Path) -> None:
    """As a user without a network has it: in a process of its own."""
    code = """
import sys
from pathlib import Path
from utils import sources
from utils.sources import embedded, revisions
revisions.FILE = Path(sys.argv[1]) / "revisions.toml"
revisions.FILE.write_text('[datasets]\\n"stanfordnlp/sst2" = "' + "0" * 40 + '"\\n')
folder = revisions.FILE.parent / "sentiment"
folder.mkdir()
embedded.CORPORA = folder.parent
for split in ("train", "validation"):
    (folder / f"{split}.jsonl").write_text('{"idx": 0, "sentence": "A joy.", "label": 1}\\n')
print(sources.load_dataset("stanfordnlp/sst2")[1].note)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)},
        cwd=runtime.project_root(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "http://127.0.0.1:9 cannot be reached" in done.stdout


def test_only_hub_ids_are_data_sets(small_corpora: Path) -> None:
    with pytest.raises(CourseError, match="namespace/name"):
        sources.load_dataset("sst2")


# The mirror


def test_several_mirrors_are_searched_in_order(
    mirror: Path, tmp_path: Path, make_dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "other" / "datasets" / SST2, ["first"], [1])
    monkeypatch.setenv("COURSE_MIRROR", f"{tmp_path / 'other'}{os.pathsep}{mirror}")
    assert list(sources.load_dataset(SST2)[0]["train"]["text"]) == ["first"]
    assert sources.load_dataset("someone/reviews")[0]["train"].num_rows == 3


@pytest.mark.parametrize("kind", ["missing", "file", "no mirror"])
def test_an_unreadable_mirror_is_an_error(
    kind: str, tmp_path: Path, small_corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("not a folder")
    if kind == "no mirror":
        (place / "stanfordnlp").mkdir(parents=True)
    monkeypatch.setenv("COURSE_MIRROR", str(place))
    with pytest.raises(CourseError, match="COURSE_MIRROR names"):
        sources.load_dataset(SST2)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="root may read every folder, and Windows has other permissions",
)
def test_a_mirror_without_permission_is_an_error(
    mirror: Path, small_corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.chmod(0)
    try:
        with pytest.raises(CourseError, match="cannot be read as a folder"):
            sources.load_dataset(SST2)
    finally:
        mirror.chmod(0o755)


def test_a_corrupt_file_is_an_error_and_not_passed_over(mirror: Path, small_corpora: Path) -> None:
    file = mirror / "datasets" / SST2 / "data" / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(CourseError, match=r"Cannot read a file.*train-00000-of-00001\.parquet"):
        sources.load_dataset(SST2)


def test_a_missing_split_is_an_error(mirror: Path, small_corpora: Path) -> None:
    (mirror / "datasets" / SST2 / "data" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(CourseError, match="lacks the files of the split 'test'"):
        sources.load_dataset(SST2)


def test_a_missing_shard_is_an_error(mirror: Path, small_corpora: Path) -> None:
    data = mirror / "datasets" / SST2 / "data"
    (data / "train-00000-of-00001.parquet").rename(data / "train-00000-of-00002.parquet")
    with pytest.raises(CourseError, match="1 files of 2"):
        sources.load_dataset(SST2)


# Cards and layouts


def test_configurations_in_folders(mirror: Path, make_dataset: Any) -> None:
    folder = mirror / "datasets" / "someone" / "many"
    make_dataset(folder / "easy", ["a"], [0], card="")
    make_dataset(folder / "hard", ["b", "c"], [0, 1], card="")
    (folder / "README.md").write_text(
        "---\nconfigs:\n"
        "- config_name: easy\n  data_files:\n"
        "  - split: train\n    path: easy/data/train-*.parquet\n"
        "- config_name: hard\n  default: true\n  data_files:\n"
        "  - split: train\n    path: [hard/data/train-*.parquet]\n---\n"
    )
    assert list(sources.load_dataset("someone/many", "easy")[0]["train"]["text"]) == ["a"]
    assert list(sources.load_dataset("someone/many")[0]["train"]["text"]) == ["b", "c"]
    with pytest.raises(CourseError, match=r"no configuration 'medium'. There is: easy, hard"):
        sources.load_dataset("someone/many", "medium")


def test_several_configurations_without_a_default_have_to_be_named(
    mirror: Path, make_table: Any
) -> None:
    for name in ("one", "two"):
        folder = mirror / "datasets" / "someone" / "pair" / name
        folder.mkdir(parents=True)
        (folder / "train.csv").write_text("text,label\nhello,1\n")
    with pytest.raises(CourseError, match="name one of: one, two"):
        sources.load_dataset("someone/pair")
    assert sources.load_dataset("someone/pair", "two")[0]["train"][0] == {
        "text": "hello",
        "label": 1,
    }


def test_an_embedded_stand_in_has_no_other_configuration(small_corpora: Path) -> None:
    with pytest.raises(CourseError, match="no configuration 'fr'"):
        sources.load_dataset(SST2, "fr", profile="smoke")


def test_splits_are_inferred_from_file_names_as_on_the_hub(mirror: Path) -> None:
    folder = mirror / "datasets" / "someone" / "bare"
    folder.mkdir(parents=True)
    for name in ("train", "dev", "eval"):
        (folder / f"reviews-{name}.jsonl").write_text(json.dumps({"text": name}) + "\n")
    dataset = sources.load_dataset("someone/bare")[0]
    assert {name: split[0]["text"] for name, split in dataset.items()} == {
        "train": "train",
        "validation": "dev",
        "test": "eval",
    }


def test_files_without_a_split_in_their_names_are_train(mirror: Path) -> None:
    folder = mirror / "datasets" / "someone" / "plain"
    folder.mkdir(parents=True)
    (folder / "reviews.csv").write_text('text,stars\n"two\nlines, quoted",5\n')
    dataset = sources.load_dataset("someone/plain")[0]
    assert list(dataset) == ["train"]
    assert dataset["train"][0] == {"text": "two\nlines, quoted", "stars": 5}


def test_a_folder_without_data_is_an_error(mirror: Path) -> None:
    (mirror / "datasets" / "someone" / "empty").mkdir(parents=True)
    with pytest.raises(CourseError, match="holds no data"):
        sources.load_dataset("someone/empty")


@pytest.mark.parametrize(
    "header",
    ["configs: [", "configs:\n- data_files: train.csv", "configs:\n- one", "configs: {a: b}"],
)
def test_a_card_that_makes_no_sense_is_an_error(mirror: Path, header: str) -> None:
    folder = mirror / "datasets" / "someone" / "odd"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text("text,label\nhello,1\n")
    (folder / "README.md").write_text(f"---\n{header}\n---\n")
    with pytest.raises(CourseError, match=r"header of .*README\.md cannot be"):
        sources.load_dataset("someone/odd")


def test_features_of_the_card_apply_to_files_without_features(mirror: Path) -> None:
    folder = mirror / "datasets" / "someone" / "carded"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text("text,label\nhello,1\n")
    (folder / "README.md").write_text(
        "---\nlicense: mit\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n"
        "  - name: label\n    dtype:\n      class_label:\n        names:\n"
        "          '0': cold\n          '1': warm\n---\n"
    )
    dataset, source = sources.load_dataset("someone/carded")
    assert dataset["train"].features["label"].names == ["cold", "warm"]
    assert source.licence == "mit"


def test_the_fingerprint_is_of_the_content_not_of_place_or_format(
    mirror: Path, make_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = sources.load_dataset("someone/reviews")[1].fingerprint
    shutil.copytree(mirror, mirror.parent / "copy")
    monkeypatch.setenv("COURSE_MIRROR", str(mirror.parent / "copy"))
    assert sources.load_dataset("someone/reviews")[1].fingerprint == here

    data = mirror.parent / "copy" / "datasets" / "someone" / "reviews"
    shutil.rmtree(data / "data")
    rows = make_table(["fine", "dull", "new"], [1, 0, 1]).replace_schema_metadata(None)
    csv.write_csv(rows, data / "train.csv")
    csv.write_csv(rows.slice(0, 1), data / "test.csv")
    (data / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n"
        "  - name: label\n    dtype:\n      class_label:\n        names:\n"
        "          '0': 'no'\n          '1': 'yes'\n---\n"
    )
    assert sources.load_dataset("someone/reviews")[1].fingerprint == here
