"""The store: nothing unsound is read, nothing is overwritten by accident."""

import pytest

from utils.errors import CourseError
from utils.experiments import Store, published_records, read_records


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "records")


def test_what_is_put_comes_back(store, make_record):
    records = [make_record(seed=seed) for seed in range(3)]
    for record in records:
        store.put(record)
    assert store.get(records[1].key) == records[1]
    assert store.records() == sorted(records, key=lambda record: record.key)
    assert store.get("0" * 16) is None


@pytest.mark.parametrize("damage", ["cut short", "digit", "empty", "binary", "not a record"])
def test_a_corrupt_record_is_reported_and_set_aside(store, make_record, damage):
    record = make_record()
    store.put(record)
    path = store.directory / f"{record.key}.json"
    whole = path.read_bytes()
    damaged = {
        "cut short": whole[:100],
        "digit": whole.replace(b"0.75", b"0.76"),
        "empty": b"",
        "binary": b"\xff\xfe\x00",
        "not a record": b"[1, 2]",
    }[damage]
    assert damaged != whole
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match=f"{record.key}.json is not a sound record"):
        assert store.get(record.key) is None
    (aside,) = (store.directory / "set-aside").iterdir()
    assert aside.read_bytes() == damaged
    assert store.set_aside == [f"{record.key}.json"]
    store.put(record)
    assert store.records() == [record]


def test_a_record_under_a_foreign_key_is_set_aside(store, make_record):
    record = make_record()
    store.put(record)
    foreign = store.directory / f"{'0' * 16}.json"
    (store.directory / f"{record.key}.json").rename(foreign)
    with pytest.warns(UserWarning, match="it holds the record"):
        assert store.records() == []


def test_the_remains_of_a_killed_process_are_not_records(store, make_record):
    record = make_record()
    store.put(record)
    part = store.directory / f".{record.key}.json.x1.part"
    part.write_text('{"key"')
    assert store.records() == [record]
    store.clean(record.key)
    assert not part.exists()


def test_reading_files_and_folders(tmp_path, make_record):
    records = [make_record(seed=seed) for seed in range(2)]
    lines = tmp_path / "records" / "grid.jsonl"
    lines.parent.mkdir()
    lines.write_text("".join(record.model_dump_json() + "\n" for record in records))
    assert read_records(lines) == records
    assert read_records(lines.parent) == records
    assert published_records(tmp_path) == records
    assert published_records(tmp_path / "empty") == []


def test_faulty_published_records_are_named_by_line(tmp_path, make_record):
    lines = tmp_path / "grid.jsonl"
    lines.write_text(make_record().model_dump_json() + "\nnonsense\n")
    with pytest.raises(CourseError, match=r"grid\.jsonl, line 2, is not a sound record"):
        read_records(lines)


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_no_records_there(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match=name):
        read_records(tmp_path / name)
