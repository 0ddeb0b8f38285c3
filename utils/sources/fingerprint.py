"""Fingerprints of content: the same rows or weights have the same one wherever they lie."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import DatasetDict

LENGTH = 16
"""Hex digits of a fingerprint."""


def of_dataset(dataset: "DatasetDict") -> str:
    """Fingerprint of a data set: names and order of splits, columns, features, and every row.

    It does not depend on where the files lie, on their format, or on how Arrow cuts the columns
    into chunks, slices and buffers.
    """
    digest = hashlib.sha256()
    for name, split in dataset.items():
        description = [name, split.num_rows, split.features.to_dict()]
        digest.update(json.dumps(description, sort_keys=True).encode())
        table = split.with_format("arrow")[:]
        for column in split.column_names:
            _update(digest, table[column].combine_chunks())
    return digest.hexdigest()[:LENGTH]


def of_texts(texts: dict[str, str]) -> str:
    """Fingerprint of texts and their names, in the order of the names."""
    content = json.dumps(sorted(texts.items()), ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:LENGTH]


def _update(digest: Any, array: "pa.Array") -> None:
    """Feed the values of `array`, and nothing of how they are stored, into `digest`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    digest.update(f"{len(array)},{array.null_count};".encode())
    if array.null_count:
        digest.update(array.is_valid().to_numpy(zero_copy_only=False).tobytes())
        array = array.drop_null()
    kind = array.type
    if pa.types.is_struct(kind):
        for child in array.flatten():
            _update(digest, child)
    elif isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        digest.update(pc.list_value_length(array).to_numpy().astype(np.int64).tobytes())
        _update(digest, array.flatten())
    elif isinstance(array, pa.StringArray | pa.LargeStringArray | pa.BinaryArray):
        digest.update(pc.binary_length(array).to_numpy().astype(np.int64).tobytes())
        one_list = pa.ListArray.from_arrays([0, len(array)], array)
        digest.update(pc.binary_join(one_list, pa.scalar(b"", kind))[0].as_buffer())
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        digest.update(array.to_numpy(zero_copy_only=False).tobytes())
    else:
        digest.update(repr(array.to_pylist()).encode())


def of_weights(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits; remembered in the process while the file is unchanged."""
    facts = path.stat()
    return _sha256(path, facts.st_size, facts.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
