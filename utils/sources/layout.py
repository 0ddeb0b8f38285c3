"""A data set in a folder as the Hub lays it out: a card (README.md) and data files.

Mirror, downloaded copies of Hub repositories and embedded corpora are all read by this code, into
memory: nothing is asked of the network and nothing is written.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.errors import CourseError
from utils.sources import fingerprint

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, DatasetDict, Features

SUFFIXES = (".parquet", ".csv", ".jsonl")
_SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.")


@dataclass(frozen=True)
class Config:
    """One configuration: its name, and patterns of file names for each split, in order."""

    name: str
    splits: dict[str, list[str]]
    default: bool = False


def configs(folder: Path) -> list[Config]:
    """The configurations of the data set in `folder`: from its card, else from its file names."""
    return _card_configs(folder) or _inferred_configs(folder)


def has_configs(folder: Path) -> bool:
    """Whether the card names the configurations and their files."""
    return bool(_card_configs(folder))


def choose(folder: Path, dataset_id: str, name: str | None) -> Config:
    """The configuration `name`, or the default one.

    Raises:
        CourseError: if there is no such configuration, none at all, or no default among several.
    """
    known = {config.name: config for config in configs(folder)}
    if not known:
        raise CourseError(
            f"The folder of the data set {dataset_id} holds no data: {folder}\n"
            f"Expected files ending in {', '.join(SUFFIXES)}. Fetch it again or remove it."
        )
    names = ", ".join(known)
    if name is None:
        defaults = [one for one in known.values() if one.default or one.name == "default"]
        candidates = defaults or list(known.values())
        if len(candidates) > 1:
            raise CourseError(f"{dataset_id} has several configurations; name one of: {names}.")
        return candidates[0]
    if name not in known:
        raise CourseError(f"{dataset_id} has no configuration {name!r}. There is: {names}.")
    return known[name]


def read(
    folder: Path,
    dataset_id: str,
    config_name: str | None = None,
    features: "Features | None" = None,
) -> "tuple[DatasetDict, str]":
    """Read a configuration of the data set in `folder`; returns it and its fingerprint.

    Features are `features`, else what the card says, else what the files say.

    Raises:
        CourseError: for an unknown configuration, or a file that is missing or cannot be read.
    """
    from datasets import DatasetDict

    config = choose(folder, dataset_id, config_name)
    features = features or _card_features(folder, config)
    splits = DatasetDict()
    for split, patterns in config.splits.items():
        files = _files(folder, dataset_id, split, patterns)
        splits[split] = _read_split(files, dataset_id, split, features)
    return splits, fingerprint.of_dataset(splits)


def licence(folder: Path) -> str:
    """Licence of the data set or model in `folder`, as its card words it; "not stated" if not."""
    card = folder / "README.md"
    if card.is_file():
        line = re.search(r"^[-*\s]*Licen[cs]e:\s*(.+)$", card.read_text("utf-8"), re.MULTILINE)
        if line:
            return line.group(1).strip()
    named = _header(folder).get("license")
    return ", ".join(named) if isinstance(named, list) else str(named or "not stated")


def _header(folder: Path) -> dict[str, Any]:
    """The YAML header of the card; empty where there is none."""
    from huggingface_hub import metadata_load

    card = folder / "README.md"
    if not card.is_file():
        return {}
    try:
        return metadata_load(card) or {}
    except Exception as error:  # whatever the YAML parser raises
        raise CourseError(f"The YAML header of {card} cannot be read: {error}") from error


def _card_configs(folder: Path) -> list[Config]:
    try:
        entries = [_card_config(entry) for entry in _header(folder).get("configs") or []]
    except (AttributeError, KeyError, TypeError) as error:
        raise CourseError(
            f"The configurations in the header of {folder / 'README.md'} cannot be understood: "
            "expected `configs:` with `config_name` and `data_files` (`split` and `path`) for each."
        ) from error
    return [config for config in entries if config.splits]


def _card_config(entry: dict[str, Any]) -> Config:
    data_files = entry.get("data_files") or []
    if isinstance(data_files, str) or all(isinstance(item, str) for item in data_files):
        data_files = [{"split": "train", "path": data_files}] if data_files else []
    splits = {}
    for item in data_files:
        paths = [item["path"]] if isinstance(item["path"], str) else item["path"]
        splits[item["split"]] = [str(Path(entry.get("data_dir", "")) / path) for path in paths]
    return Config(entry["config_name"], splits, bool(entry.get("default")))


def _inferred_configs(folder: Path) -> list[Config]:
    """Files at the top or in `data/` are the one configuration; else each sub-folder is one."""
    for inside in ("", "data"):
        if splits := _inferred_splits(folder, inside):
            return [Config("default", splits, default=True)]
    folders = sorted(path.name for path in folder.iterdir() if path.is_dir())
    found = [Config(name, _inferred_splits(folder, name)) for name in folders]
    return [config for config in found if config.splits]


def _inferred_splits(folder: Path, inside: str) -> dict[str, list[str]]:
    files = sorted(
        str(path.relative_to(folder))
        for path in (folder / inside).glob("*")
        if path.suffix in SUFFIXES
    )
    splits: dict[str, list[str]] = {}
    for split, words in _SPLIT_WORDS.items():
        pattern = re.compile(rf"(^|[-._/])({'|'.join(words)})([-._/])")
        if chosen := [file for file in files if pattern.search(file)]:
            splits[split] = chosen
    return splits or ({"train": files} if files else {})


def _files(folder: Path, dataset_id: str, split: str, patterns: list[str]) -> list[Path]:
    """The files of a split in the order of their names; every shard has to be there."""
    files = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    if not files:
        raise CourseError(
            f"The copy of {dataset_id} lacks the files of the split {split!r} "
            f"({', '.join(patterns)}) in {folder}. Fetch it again or remove it."
        )
    shards = [match for file in files if (match := _SHARD.search(file.name))]
    expected = {int(match.group(2)) for match in shards}
    if shards and expected != {len(shards)}:
        raise CourseError(
            f"The copy of {dataset_id} is incomplete: {len(shards)} files of {max(expected)} of "
            f"the split {split!r} are in {files[0].parent}. Fetch it again or remove it."
        )
    return files


def _read_split(
    files: list[Path], dataset_id: str, split: str, features: "Features | None"
) -> "Dataset":
    import pyarrow as pa
    from datasets import Dataset, DatasetInfo, Features, NamedSplit
    from datasets.table import InMemoryTable, table_cast

    tables = []
    for file in files:
        try:
            table = _read_file(file)
            schema = features or Features.from_arrow_schema(table.schema)
            tables.append(table_cast(table.select(list(schema)), schema.arrow_schema))
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise CourseError(
                f"Cannot read a file of the data set {dataset_id}: {file}\n"
                f"{type(error).__name__}: {error}\n"
                "It is damaged or not what its name says. Fetch it again or remove it."
            ) from error
    whole = pa.concat_tables(tables)
    info = DatasetInfo(features=Features.from_arrow_schema(whole.schema))
    return Dataset(InMemoryTable(whole), info=info, split=NamedSplit(split))


def _read_file(file: Path) -> "pa.Table":
    if file.suffix == ".parquet":
        from pyarrow import parquet

        return parquet.read_table(file, partitioning=None)
    if file.suffix == ".csv":
        from pyarrow import csv

        return csv.read_csv(file, parse_options=csv.ParseOptions(newlines_in_values=True))
    if file.suffix == ".jsonl":
        from pyarrow import json

        return json.read_json(file)
    raise ValueError(f"files ending in {file.suffix!r} are not supported")


def _card_features(folder: Path, config: Config) -> "Features | None":
    """Features that the card's `dataset_info` gives for a configuration, if it does."""
    from datasets.info import DatasetInfosDict

    if not _header(folder).get("dataset_info"):
        return None
    info = DatasetInfosDict.from_directory(str(folder)).get(config.name)
    return info.features if info else None
