"""The check `labels` for classification: every image has one class, known and drawn often enough to be learned.

The contract is that of training (`classification/labels.py`): a class of the scene, or its only object. The one
threshold is that of detection: a fifth of the images may have none (`LARGEST_DROPPED_SHARE`).
"""

from collections import Counter

import numpy as np

from yolo_proc.checks.bench import Bench
from yolo_proc.classification.labels import IGNORED, image_classes
from yolo_proc.detection.label_checks import LARGEST_DROPPED_SHARE, LabelError
from yolo_proc.plotting.preview import preview_sheet
from yolo_proc.scene import Scene
from yolo_proc.training.outcomes import Figure, Finding

SCENES = 256
SHOWN = 16


def run(bench: Bench) -> Finding:
    """See the module."""
    classes = len(bench.classes)
    counts = np.zeros(classes, dtype=np.int64)
    reasons: Counter[str] = Counter()
    broken, first, scenes = 0, "", 0
    shown: list[Scene] = []
    for batch in bench.drawn(SCENES):
        scenes += len(batch)
        try:
            found, dropped = image_classes(batch, bench.config.labels, classes)
        except LabelError as error:
            broken += len(error.problems)
            first = first or str(error.problems[0])
            shown = shown or [bench.scene(one.scene) for one in error.problems[:SHOWN] if one.scene is not None]
            continue
        counts += np.bincount(found[found != IGNORED], minlength=classes)
        reasons.update(dropped)
    missing = [name for name, count in zip(bench.classes, counts.tolist(), strict=True) if not count]
    judged = int(counts.sum())
    share = 1 - judged / scenes if scenes and not broken else 0.0
    causes = _causes(first, share, reasons, missing if judged else [])
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common() if count)
    figures: dict[str, Figure] = {"scenes": scenes, "without a class": scenes - judged, "wrong labels": broken}
    figures |= {f"class {name}": int(count) for name, count in zip(bench.classes, counts, strict=True)}
    return Finding.judged(
        not causes,
        expected=f"one class for each of {SCENES} images, at most {LARGEST_DROPPED_SHARE:.0%} without, every class",
        measured=f"{broken} wrong labels, the first: {first}"
        if broken
        else f"{share:.1%} of {scenes} images without a class{f' ({told})' if told else ''}, {counts.min()} to "
        f"{counts.max()} images a class",
        figures=figures,
        causes=causes,
        remedy="label the scene with canvas.label_scene(name), or draw one labelled object that is large enough; "
        "`preview` shows what is drawn",
        evidence={"scenes": lambda: preview_sheet(shown or [bench.scene(k) for k in range(SHOWN)], bench.classes)},
    )


def _causes(first: str, share: float, reasons: Counter[str], missing: list[str]) -> list[str]:
    if first:
        return [f"the class of an image is not clear: {first}"]
    causes = []
    if share > LARGEST_DROPPED_SHARE:
        reason = reasons.most_common(1)[0][0] if reasons else "no_object"
        causes.append(
            "images show nothing that has a label: neither the scene nor an object of it"
            if reason == "no_object"
            else f"the only object is no label ({reason}): it is too small, covered, or outside of the frame"
        )
    if missing:
        causes.append(f"classes that are never drawn: {', '.join(missing)}")
    return causes
