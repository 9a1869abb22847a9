"""The weights that evaluate, predict and export take: kept in `best.pt`, and calibrated when the run ends."""

from collections.abc import Iterator

from yolo_proc.errors import CheckpointError, number_of
from yolo_proc.models import checkpoint
from yolo_proc.models.fields import check_state
from yolo_proc.models.network import network_outputs
from yolo_proc.models.weights import model_from_checkpoint
from yolo_proc.training.events import Event, Note, Shipped, Stopped
from yolo_proc.training.session import Session
from yolo_proc.training.stopping import Estimate


def ship(session: Session, validation: Estimate, stop: Stopped | None) -> Iterator[Event]:
    """Keep the weights with the lowest loss on the validation stream, or those that were judged to meet the target.

    Args:
        validation: loss of the averaged weights.
        stop: how the run ends; None: it goes on.
    """
    state, best = session.state, session.folder / checkpoint.BEST
    judged = stop is not None and stop.reason == "target"
    better = judged or validation.mean < state.best_loss or not best.exists()
    if better:
        state.best_loss = validation.mean
    if stop is not None and state.epoch == 0:
        yield Note("the run ended before its first epoch did: its confidence is not calibrated")
        checkpoint.save(best, state.state_dict())
        yield Shipped(model_from_checkpoint(state.state_dict()).to(session.device))
    elif stop is not None:
        yield Note(f"calibrating the confidence on {number_of(session.config.calibration_images, 'fresh image')}")
        if not better:
            try:
                _, shipped, _ = checkpoint.to_resume(best, check_state)
            except CheckpointError as error:
                yield Note(f"{error}; the newest weights are shipped instead")
                better = True
        if better:
            shipped = state.state_dict()
        shipped["calibration"] = None
        model = model_from_checkpoint(shipped).to(session.device)
        fresh = session.batches("calibration", 0, session.config.calibration_images)
        outputs = ((network_outputs(model, batch.images, session.device), batch) for batch in fresh)
        calibration = session.task.fit_calibration(outputs)
        shipped["calibration"] = calibration
        if better:
            state.calibration = calibration
        checkpoint.save(best, shipped)
        model.head.calibrate(*calibration)
        yield Shipped(model)
    elif better:
        checkpoint.save(best, state.state_dict())
