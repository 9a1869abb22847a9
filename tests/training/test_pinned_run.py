"""The default run, cut short, gives the figures that it always gave: a change of structure changes no number."""

from pathlib import Path

import pytest

from yolo_proc.config.schema import Config
from yolo_proc.training.events import EpochEnd
from yolo_proc.training.trainer import Trainer

pytestmark = pytest.mark.slow

# Measured with AVX-512. Other processors add in another order: the first epochs then differ by some 1e-5.
TOLERANCE = 1e-3


def test_the_losses_of_a_short_default_run(tmp_path: Path) -> None:
    """What is not named is the default run's; one thread and float32, so that the figures are the same anywhere."""
    config = Config(
        runs_dir=str(tmp_path), epochs=2, epoch_images=128, threads=1, workers=0, precision="float32", no_check=True
    )
    ends = [event for event in Trainer(config).run() if isinstance(event, EpochEnd)]
    assert [end.loss for end in ends] == pytest.approx([2.617864536574254, 2.529533417237316], rel=TOLERANCE)
    assert [end.val_loss for end in ends] == pytest.approx([2.599494463549677, 2.5974485008007853], rel=TOLERANCE)
