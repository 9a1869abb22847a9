"""Writes digests of models that were changed on purpose: `python -m yolo_proc.export.digest MODEL.onnx`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from yolo_proc.errors import DataError
from yolo_proc.export.digest import DIGEST_KEY, METADATA_KEY, ModelError, sealed, sealed_text
from yolo_proc.export.onnx_file import MAX_MODEL, read_metadata
from yolo_proc.export.spec import ModelSpec
from yolo_proc.system.files import read_bytes, replace_whole


def seal_again(path: Path) -> None:
    """Write the digests of a model's file anew, from what is in it now.

    Raises:
        UnreadableFileError: no plain file.
        ModelError: no ONNX file, or one without metadata that we read.
        DataError: it cannot be written.
    """
    content = read_bytes(path, MAX_MODEL, "an ONNX file")
    text = _without_digest(read_metadata(content, str(path)))
    ModelSpec.from_json(text, f"{path}: metadata")
    try:
        model = onnx.load_from_string(content)
    except DecodeError as error:
        raise ModelError(f"{path}: expected an ONNX file, found: {error}") from error
    entries = {entry.key: entry.value for entry in model.metadata_props}
    entries[METADATA_KEY] = sealed_text(text)
    entries.pop(DIGEST_KEY, None)
    del model.metadata_props[:]
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    try:
        replace_whole(path, sealed(model.SerializeToString(deterministic=True)))
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def _without_digest(text: str) -> str:
    """Return the text of a JSON object without its digest, wherever another tool has put that; other text as it is."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(values, dict):
        return text
    return json.dumps(
        {key: one for key, one in values.items() if key not in ("digest", "sha256")}, separators=(",", ":")
    )


def main(argv: Sequence[str]) -> int:
    """Return the command line: files of models."""
    if not argv:
        print("usage: python -m yolo_proc.export.digest MODEL.onnx...", file=sys.stderr)
        return 2
    try:
        for name in argv:
            seal_again(Path(name))
            print(f"{name}: has a digest of what is in it now")
    except DataError as error:
        print(f"digest: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
