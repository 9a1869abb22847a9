"""Writes a trained network for use outside of Python: whole and verified, or not at all.

out/model.onnx  model.json  vectors/  README.md
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.config.schema import Config
from yolo_proc.data.fingerprint import changed_scenes
from yolo_proc.data.generator import check_class_count, file_stem
from yolo_proc.data.run_config import saved_config, values_from_here
from yolo_proc.errors import ConfigError, DataError
from yolo_proc.evaluation.classifier import Classifier
from yolo_proc.evaluation.predict import Detector
from yolo_proc.export.digest import sealed_text
from yolo_proc.export.onnx_graph import IR_VERSION, to_onnx
from yolo_proc.export.place import MODEL, PRECISIONS, README, SPEC, VECTORS, check_place, replacing
from yolo_proc.export.quantize import to_int8
from yolo_proc.export.readme import readme_text
from yolo_proc.export.session import READERS, OnnxModel, Settings
from yolo_proc.export.spec import CLASSIFICATION, DETECTION, ModelSpec
from yolo_proc.export.stages import DEFAULT_TOLERANCES
from yolo_proc.export.vectors import write_vectors
from yolo_proc.export.verify import GATES, Comparison, Gate, VerificationError, fresh_batches, measure, table
from yolo_proc.export.verify_boxes import compare_boxes
from yolo_proc.export.verify_classes import compare_classes
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.models import checkpoint
from yolo_proc.models.fields import check_state, saved_values
from yolo_proc.models.network import Network

INPUTS = ("uint8-nhwc", "float-nchw")
OUTPUTS = ("logits", "predictions")
ALL = "all"
QUANTISATION_IMAGES = 200  # whose values give the ranges of int8
VECTOR_IMAGES = 3
# What another version of the runtime, on another processor, may give for the same picture.
_VECTOR_LOGITS = {"fp32": 1e-3, "fp16": 0.05, "int8": 0.25}


# By task: from a checkpoint to a network, and how exported models are compared with it.
_LOADERS: Mapping[str, Callable[..., Detector | Classifier]] = {
    DETECTION: Detector.of_checkpoint,
    CLASSIFICATION: Classifier.of_checkpoint,
}
_COMPARE: Mapping[str, Callable[..., Mapping[str, Comparison]]] = {
    DETECTION: compare_boxes,
    CLASSIFICATION: compare_classes,
}


@dataclass(frozen=True)
class ExportRequest:
    """A request for an export: of what, and in which forms.

    Attributes:
        place: a checkpoint, or a run's folder.
        out: the folder to write; one of an earlier export is replaced.
        input: of `INPUTS`; outputs: of `OUTPUTS`.
        precision: of `PRECISIONS`, or "all".
        input_size: (width, height) of the model's pictures; None: as in training.
        ir_version: of the file's form, of `OPSETS`; older runtimes read only older ones.
        images: fresh ones for the verification.
        range_images: fresh ones whose values give the ranges of int8.
        gates: by precision, how far a model may be from the network.
        threads: of ONNX Runtime; 0: one a processor.
        trust: run the code of the generator that the checkpoint names, whatever it is; see `trust.py`.
    """

    place: Path
    out: Path
    input: str = INPUTS[0]
    outputs: str = OUTPUTS[0]
    precision: str = PRECISIONS[0]
    input_size: tuple[int, int] | None = None
    ir_version: int = IR_VERSION
    images: int = 500
    range_images: int = QUANTISATION_IMAGES
    gates: Mapping[str, Gate] = field(default_factory=lambda: GATES)
    threads: int = 0
    trust: bool = False

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that are written."""
        return PRECISIONS if self.precision == ALL else (self.precision,)

    @property
    def compared(self) -> tuple[str, ...]:
        """Those that the table shows: who asks for a smaller one wants to know what it buys, and what it costs."""
        return PRECISIONS[:1] if self.precision == PRECISIONS[0] else PRECISIONS

    def file_of(self, precision: str) -> str:
        """Return the name of a precision's model; the first one is the folder's."""
        return MODEL if precision == self.precisions[0] else f"model-{precision}.onnx"


@dataclass(frozen=True)
class Exported:
    """Result of an export: from which checkpoint, the spec, and how far each precision is from the network."""

    checkpoint: Path
    spec: ModelSpec
    results: Mapping[str, Comparison]


def export(
    request: ExportRequest,
    *,
    say: Callable[[str], None] = lambda _: None,
    on_images: Callable[[int], None] = lambda _: None,
) -> Exported:
    """Write the folder.

    Args:
        say: takes lines for the user: notes, and the table of what was compared.
        on_images: called with the number of pictures verified.

    Raises:
        VerificationError: a model differs from the network by more than its gate; nothing is written.
        CheckpointError, ConfigError, GeneratorError, DataError: what cannot be read, drawn or written.
    """
    check_place(request.out)
    found = path, state, notes = checkpoint.shipped(request.place, check_state)
    load = _LOADERS.get(state["task"])
    if load is None:
        raise ConfigError(
            f"task: {path} is of the task {state['task']}, and export knows {', '.join(_LOADERS)}; use one of them, or "
            "write your own file with yolo_proc.export.onnx_graph"
        )
    trained = load(found, input_size=request.input_size, device="cpu")
    for note in notes:
        say(note)
    values = values_from_here(saved_values(state, path), path, state.get("started_in"))
    config = saved_config(values, path, trust=request.trust)
    check_class_count(path, trained.classes, config)
    for line in changed_scenes(state.get("fingerprint", {}), config):
        say(line)
    spec = spec_of(request, trained.model, _training_of(path, state, config))
    out = request.out.resolve()  # of a link, the folder that it leads to
    try:
        with replacing(out) as part:
            results = _written(request, part, trained.model, spec, config, say, on_images)
            check_place(request.out)  # it took a while
    except OSError as error:
        raise DataError(f"{request.out}: cannot be written: {error.strerror or error}") from error
    return Exported(path, spec, results)


def _written(
    request: ExportRequest,
    part: Path,
    model: Network[Any],
    spec: ModelSpec,
    config: Config,
    say: Callable[[str], None],
    on_images: Callable[[int], None],
) -> Mapping[str, Comparison]:
    """Write everything to a folder that nobody knows yet, and compare it with the network."""
    contents = _contents(request, model, spec, config)
    for name in request.precisions:
        (part / request.file_of(name)).write_bytes(contents[name])
    exported = _loaded(request, part, spec, contents)
    results = _COMPARE[spec.task](model, exported, config, request.images, on_images=on_images)
    measure(exported, {name: len(content) for name, content in contents.items()}, results)
    compared = table(results)
    say(compared)
    doubt = results[request.compared[0]].doubt
    if doubt:
        say(f"note: {doubt}; a gate on it says little then")
    _check_gates(request, results)
    files = {name: request.file_of(name) for name in request.precisions}
    (part / README).write_text(readme_text(spec, files, request.images, compared), encoding="utf-8")
    first = request.precisions[0]
    _write_rest(part, spec, exported[first], first, config)
    return results


def spec_of(request: ExportRequest, model: Network[Any], training: dict[str, object]) -> ModelSpec:
    """Return what the exported model will say of itself."""
    width, height = model.frame
    as_bytes = request.input == INPUTS[0]
    return ModelSpec(
        classes=model.task.classes,
        width=width,
        height=height,
        grids=model.task.codec.grids if model.task.name == DETECTION else (),
        task=model.task.name,
        layout="nhwc" if as_bytes else "nchw",
        value_type="uint8" if as_bytes else "float32",
        output_name=request.outputs,
        activated=request.outputs == OUTPUTS[1],
        training=training,
    )


def _training_of(path: Path, state: dict[str, object], config: Config) -> dict[str, object]:
    """Return where the weights come from, without the paths of this machine."""
    figures: dict[str, object] = {key: state[key] for key in ("epoch", "images") if key in state}
    return {"generator": file_stem(config.generator.name), "checkpoint": path.name, **figures}


def _contents(request: ExportRequest, model: Network[Any], spec: ModelSpec, config: Config) -> dict[str, bytes]:
    """Return the file of each precision that is compared."""
    version = request.ir_version
    contents = {
        precision: to_onnx(model, spec, half=precision == "fp16", ir_version=version) for precision in request.compared
    }
    if "int8" in contents:
        contents["int8"] = to_int8(contents["int8"], spec, _letterboxed(config, spec, request.range_images), version)
    return contents


def _loaded(request: ExportRequest, part: Path, spec: ModelSpec, contents: dict[str, bytes]) -> dict[str, OnnxModel]:
    """Return models of them; of those that are written, of what lies in the file."""
    exported = {}
    for precision, content in contents.items():
        file = part / request.file_of(precision)
        stored = file.read_bytes() if precision in request.precisions else content
        settings = Settings(threads=request.threads)
        exported[precision] = READERS[spec.task](stored, str(request.out / file.name), settings)
    return exported


def _letterboxed(config: Config, spec: ModelSpec, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield fresh pictures as the network gets them."""
    for batch in fresh_batches(config, (spec.width, spec.height), count, stream="quantisation"):
        height, width = batch.images.shape[1:3]
        box = Letterbox.of(width, height, spec.width, spec.height)
        yield np.stack([box.apply(image) for image in batch.images.numpy()])


def _check_gates(request: ExportRequest, results: Mapping[str, Comparison]) -> None:
    for precision in request.precisions:
        result = results[precision]
        problems = result.problems(request.gates[precision])
        if problems:
            raise VerificationError(
                f"{request.out}: the {precision} model is not good enough on {result.images} fresh images: "
                f"{'; '.join(problems)}; nothing was written"
            )


def _write_rest(part: Path, spec: ModelSpec, exported: OnnxModel, precision: str, config: Config) -> None:
    (part / SPEC).write_text(sealed_text(spec.to_json()), encoding="ascii")
    pictures = [
        image
        for batch in fresh_batches(config, (spec.width, spec.height), VECTOR_IMAGES, stream="vectors")
        for image in batch.images.numpy()
    ]
    tolerances = {**DEFAULT_TOLERANCES, "logits": _VECTOR_LOGITS[precision]}
    write_vectors(part / VECTORS, spec.to_dict(), exported.run, pictures, tolerances=tolerances)
