"""The bench that checks measure on: the pipeline of a run, from scenes to learning, made of the code that trains.

Every part can be replaced, so that a fault is a small patch of a healthy pipeline:

    bench = Bench(config)
    faulty = bench.with_parts(build_task=lambda *_: TaskWithoutAWeight(bench.task))
    state = faulty.new_state()
    result = faulty.learn(state, faulty.batch(0))
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from yolo_proc.batch import Batch
from yolo_proc.config.schema import Config
from yolo_proc.data.stream import Stream, batches
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.models.network import Network
from yolo_proc.scene import Scene
from yolo_proc.system.device import pick_device, processors
from yolo_proc.task import mean_terms
from yolo_proc.training.precision import pick_precision
from yolo_proc.training.session import Session, build_state, build_task, first_model, timing_batch, worker_count
from yolo_proc.training.state import TrainingState
from yolo_proc.training.step import StepResult, autocast_dtype, forward_loss, forward_objective, training_step
from yolo_proc.training.stopping import Estimate
from yolo_proc.training.validation import measure_loss

if TYPE_CHECKING:
    from yolo_proc.export.session import OnnxModel

LARGEST_BATCH = 32  # images a check takes at once, however large the run's batches are
STREAM = "train"


def export_onnx(model: Network[Any], classes: tuple[str, ...]) -> bytes:
    """Return the file that the command `export` writes of a network, in evaluation mode, with its defaults."""
    from yolo_proc.export.export import ExportRequest, spec_of
    from yolo_proc.export.onnx_graph import to_onnx

    spec = replace(spec_of(ExportRequest(Path(), Path()), model, {}), classes=classes)
    return to_onnx(model, spec)


def open_onnx(content: bytes) -> "OnnxModel":
    """Return the reader of that file, as the command `predict` uses it."""
    from yolo_proc.export.session import Settings, load_model

    return load_model(content, settings=Settings(threads=1))


@dataclass(frozen=True)
class Parts:
    """The functions of the pipeline, each as training (or what comes after it) calls it.

    Attributes:
        open_stream: (configuration, name of a stream) -> its scenes; from here come all scenes and labels.
        batches: as in `stream.py`: scenes to batches, in worker processes or here.
        build_task: (configuration, stream of anchors' scenes, workers) -> targets and loss.
        build_model: (configuration, task, device) -> a network in training mode.
        build_state: the network with optimizer, schedule and averaged weights.
        learn: (state, task, batch, device) -> one step of training.
        measure_loss: (model in evaluation mode, task, batches, device) -> the loss that the stopping rule reads.
        trial_steps: of the short trainings that compare networks.
        export_onnx: (model, classes) -> the exported file; open_onnx: file -> what runs it.
    """

    open_stream: Callable[[Config, str], Stream] = Stream.from_config
    batches: Callable[..., Iterator[Batch]] = batches
    build_task: Callable[[Config, Stream, int], Any] = build_task
    build_model: Callable[[Config, Any, torch.device], Network[Any]] = first_model
    build_state: Callable[..., TrainingState] = build_state
    learn: Callable[..., tuple[StepResult, Mapping[str, int]]] = training_step
    measure_loss: Callable[..., Estimate] = measure_loss
    trial_steps: int = 40
    export_onnx: Callable[[Network[Any], tuple[str, ...]], bytes] = export_onnx
    open_onnx: Callable[[bytes], "OnnxModel"] = open_onnx


class Bench:
    """A run's pipeline, made when a check asks for it; what is drawn or found once is kept.

    Args:
        config: validated.
        parts: other functions in place of the pipeline's.
        task, precision: those of a run that has found them already; None: found as a new run does.

    Attributes:
        workers, device: those that the run would have.
    """

    def __init__(
        self,
        config: Config,
        parts: Parts | None = None,
        *,
        task: Any = None,
        precision: str | None = None,
    ) -> None:
        self.config = config
        self.parts = parts or Parts()
        self.device = pick_device(config.device)
        self.workers = worker_count(config)
        self._task = task
        self._precision = precision
        self._batches: dict[tuple[int, int], Batch] = {}

    @classmethod
    def of_session(cls, session: Session) -> "Bench":
        """Return the bench of a run that is about to begin."""
        return cls(session.config, task=session.task, precision=session.state.precision)

    def with_parts(self, **changes: Any) -> "Bench":
        """Return a bench of the same run with some of its parts replaced; nothing that they may change is taken
        over.
        """
        scenes_stay = not {"open_stream", "build_task", "batches"} & set(changes)
        return Bench(
            self.config,
            replace(self.parts, **changes),
            task=self.task if scenes_stay else None,
            precision=vars(self).get("precision", self._precision),
        )

    # ---- scenes

    @cached_property
    def stream(self) -> Stream:
        """The scenes that the run trains on."""
        return self.parts.open_stream(self.config, STREAM)

    @cached_property
    def plain_stream(self) -> Stream:
        """The same scenes without augmentation."""
        plain = replace(self.config, augment=replace(self.config.augment, enabled=False))
        return self.parts.open_stream(plain, STREAM)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by class index."""
        return self.stream.classes

    def scene(self, index: int, *, augmented: bool = True) -> Scene:
        """Return scene `index` of the training stream."""
        return (self.stream if augmented else self.plain_stream)[index]

    def scene_without(self, index: int, number: int, *, augmented: bool = True) -> Scene:
        """Return that scene, drawn again without its object `number`."""
        return (self.stream if augmented else self.plain_stream).without(index, number)

    @property
    def batch_size(self) -> int:
        """Images of the batches that checks use: the run's, but not more than 32."""
        return min(self.config.batch_size, LARGEST_BATCH)

    def batch(self, k: int = 0, size: int | None = None) -> Batch:
        """Return batch k of `size` scenes, drawn in this process once and kept."""
        size = size or self.batch_size
        if (k, size) not in self._batches:
            self._batches[k, size] = next(self.parts.batches(self.stream, k, size, count=1, workers=0))
        return self._batches[k, size]

    def drawn(self, count: int, size: int = LARGEST_BATCH, *, workers: int | None = None) -> Iterator[Batch]:
        """Yield the first `count` scenes (in whole batches) as the run draws them: in its worker processes. None is
        kept.
        """
        number = self.workers if workers is None else workers
        yield from self.parts.batches(self.stream, 0, size, count=-(-count // size), workers=number)

    # ---- labels, network, learning

    @cached_property
    def task(self) -> Any:
        """The task of the run; it makes targets and compares with them."""
        if self._task is not None:
            return self._task
        source = self.parts.open_stream(self.config, "anchors")
        return self.parts.build_task(self.config, source, self.workers)

    @property
    def codec(self) -> LabelCodec:
        """Grids and anchors of a detector."""
        return self.task.codec  # type: ignore[no-any-return]

    @cached_property
    def precision(self) -> str:
        """ "float32" or "bf16", as the run trains in."""
        if self._precision is not None:
            return self._precision
        probes = self.parts.open_stream(self.config, "probe")
        # Whoever asks first may be about to measure without gradients; whole steps are timed all the same.
        with torch.inference_mode(False), torch.enable_grad():
            return pick_precision(
                self.config.precision, self.new_model(), self.task, lambda: timing_batch(probes, self.task, self.device)
            )[0]

    @property
    def autocast(self) -> torch.dtype | None:
        """The dtype of the network's arithmetic; None for float32."""
        return autocast_dtype(self.precision)

    def new_model(self) -> Network[Any]:
        """Return a network as a run begins with, in training mode; alike at each call."""
        return self.parts.build_model(self.config, self.task, self.device)

    def new_state(self, config: Config | None = None) -> TrainingState:
        """Return a run's state before its first step; `config`: with other options of the optimizer."""
        return self.parts.build_state(
            config or self.config,
            self.new_model(),
            self.classes,
            precision=self.precision,
            threads=self.config.threads or processors(),
        )

    def targets(self, batch: Batch) -> Any:
        """Return a batch's targets on the device (`TensorTargets`)."""
        return self.task.targets(batch, self.device)[0]

    def forward_loss(
        self, model: Network[Any], batch: Batch, task: Any = None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return the loss as a step computes it: the scalar, the unweighted mean of each term, and the raw logits."""
        task = task or self.task
        targets = task.targets(batch, self.device)[0]
        images = batch.images.to(self.device)
        loss, terms, logits = forward_loss(model, task, images, targets, autocast=self.autocast)
        return loss, mean_terms(terms), logits

    def objective(self, model: Network[Any], batch: Batch) -> Tensor:
        """Return what a step minimises: the loss and the auxiliary loss; a scalar."""
        targets, images = self.targets(batch), batch.images.to(self.device)
        return forward_objective(model, self.task, images, targets, autocast=self.autocast)[0]

    def learn(self, state: TrainingState, batch: Batch, task: Any = None) -> StepResult:
        """Return one step of training on a batch."""
        return self.parts.learn(state, task or self.task, batch, self.device)[0]

    def measure_loss(self, model: nn.Module, groups: list[Batch]) -> Estimate:
        """Return the loss of a network in evaluation mode, as the validation and the stopping rule measure it."""
        return self.parts.measure_loss(model, self.task, groups, self.device)

    # ---- what leaves

    def exported(self, model: Network[Any]) -> "OnnxModel":
        """Return the network (in evaluation mode) as an application runs it, after its export."""
        return self.parts.open_onnx(self.parts.export_onnx(model, self.classes))
