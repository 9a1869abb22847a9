"""Statistics of a set of pictures: the figures by which a user decides. `measure.py` measures, this sums up."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.inspection.duplicates import Duplicates, find_duplicates
from yolo_proc.inspection.encoding import Encoding
from yolo_proc.inspection.measure import Measured
from yolo_proc.inspection.outliers import Outlier, find_outliers


@dataclass(frozen=True)
class Summary:
    """A distribution in six numbers, `low` and `high` its 5th and 95th percentiles; None where nothing is known."""

    known: int
    least: float | None = None
    low: float | None = None
    median: float | None = None
    mean: float | None = None
    high: float | None = None
    most: float | None = None

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Summary":
        """Return the summary of values (K,); NaN are left out."""
        known = np.asarray(values, dtype=np.float64)
        known = known[np.isfinite(known)]
        if not len(known):
            return cls(0)
        least, low, median, high, most = np.percentile(known, [0, 5, 50, 95, 100]).tolist()
        return cls(len(known), least, low, median, float(known.mean()), high, most)


@dataclass(frozen=True)
class ClassCount:
    """How often a class occurs.

    Attributes:
        objects: of this class.
        images: with at least one of them.
    """

    name: str
    objects: int
    images: int


@dataclass(frozen=True)
class DuplicateCount:
    """The duplicates by name.

    Attributes:
        exact, near: groups of names.
        across_splits: how many groups, exact or near, lie in more than one split: what is learned is then judged on.
        other_labels: how many exact groups have different labels.
    """

    exact: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, ...], ...]
    superfluous: int
    across_splits: int
    other_labels: int


@dataclass(frozen=True)
class Statistics:
    """Statistics of a set of pictures; `to_dict` is the content of `--json`.

    Attributes:
        images: readable pictures; `splits` says how they are shared out.
        empty_images: pictures without an object.
        picture_sizes: (width, height, how many), the most frequent first.
        objects, ignore_regions, other_items: counts; the others are masks, points, polygons and texts.
        never_drawn: names of classes without an object.
        box_width, box_height: picture pixels.
        box_side: square root of the box's area as a share of that of the picture.
        aspect: width / height of the boxes with an area.
        heat: objects by the place of their centre, rows from the top.
        overlap: the largest IoU of each object with another one of its picture.
        visible, in_frame, confidence: shares, of the objects of which they are known.
        channel_means, channel_deviations: of red, green, blue over all pixels, grey levels.
        degenerate_boxes: boxes without an area. `outside_boxes`: boxes that leave their picture.
        dark_images: names of pictures that are nearly black. `flat_images`: of others that are of one colour, but for
            noise. Neither is looked at for duplicates.
        left_out: pictures that could not be read, by reason; `left_out_lines` tells the first of them.
        encoding: what becomes of the objects; None where there is none to find anchors from.
    """

    images: int
    splits: Mapping[str, int]
    empty_images: int
    picture_sizes: tuple[tuple[int, int, int], ...]
    objects: int
    ignore_regions: int
    other_items: int
    objects_per_image: Summary
    classes: tuple[ClassCount, ...]
    never_drawn: tuple[str, ...]
    box_width: Summary
    box_height: Summary
    box_side: Summary
    aspect: Summary
    heat: tuple[tuple[int, ...], ...]
    overlap: Summary
    overlapping: float | None
    visible: Summary
    in_frame: Summary
    confidence: Summary
    channel_means: tuple[float, ...] | None
    channel_deviations: tuple[float, ...] | None
    brightness: Summary
    contrast: Summary
    degenerate_boxes: int
    outside_boxes: int
    dark_images: tuple[str, ...]
    flat_images: tuple[str, ...]
    left_out: Mapping[str, int]
    left_out_lines: tuple[str, ...]
    duplicates: DuplicateCount
    encoding: Encoding | None
    outliers: tuple[Outlier, ...]

    @property
    def nothing_read(self) -> bool:
        """Whether there are pictures, and all of them are left out."""
        return not self.images and bool(self.left_out)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, all of which JSON can say."""
        return asdict(self)


MOST_SIZES = 12  # different sizes of pictures that are listed
MOST_LINES = 20  # of pictures left out that are told
OVERLAPPING = 0.1  # IoU from which two objects count as overlapping


def statistics(
    measured: Measured,
    classes: Sequence[str],
    *,
    encoding: Encoding | None = None,
    left_out: Mapping[str, int] | None = None,
    left_out_lines: Sequence[str] = (),
) -> Statistics:
    """Sum up.

    Args:
        classes: names by class index.
        left_out: pictures that could not be read, by the reason of their `AnnotationError`.
    """
    found = measured
    left_out = left_out or {}
    sides, counts = found.sides, found.counts
    sizes, how_often = np.unique(found.sizes, axis=0, return_counts=True)
    by_count = np.argsort(-how_often, kind="stable")[:MOST_SIZES]
    areas = found.sizes[found.image_ids].prod(axis=1)
    class_counts = _class_counts(found, classes)
    means, deviations = _channels(found.levels)
    limits = np.concatenate([found.sizes, found.sizes], axis=1)[found.image_ids]
    outside = ((found.box_xyxy < 0) | (found.box_xyxy > limits)).any(axis=1)
    return Statistics(
        images=len(found),
        splits={split: found.splits.count(split) for split in dict.fromkeys(found.splits)},
        empty_images=int((counts == 0).sum()),
        picture_sizes=tuple(
            (int(w), int(h), int(n)) for (w, h), n in zip(sizes[by_count], how_often[by_count], strict=True)
        ),
        objects=len(found.box_xyxy),
        ignore_regions=len(found.ignore_xyxy),
        other_items=found.others,
        objects_per_image=Summary.of(counts),
        classes=class_counts,
        never_drawn=tuple(one.name for one in class_counts if not one.objects),
        box_width=Summary.of(sides[:, 0]),
        box_height=Summary.of(sides[:, 1]),
        box_side=Summary.of(np.sqrt(sides.prod(axis=1) / areas)),
        aspect=Summary.of(found.aspects),
        heat=tuple(tuple(row) for row in found.heat().tolist()),
        overlap=Summary.of(found.overlap),
        overlapping=float((found.overlap > OVERLAPPING).mean()) if len(found.overlap) else None,
        visible=Summary.of(found.visible),
        in_frame=Summary.of(found.in_frame),
        confidence=Summary.of(found.confidence),
        channel_means=means,
        channel_deviations=deviations,
        brightness=Summary.of(found.brightness),
        contrast=Summary.of(found.contrast),
        degenerate_boxes=int((sides <= 0).any(axis=1).sum()) + left_out.get("degenerate", 0),
        outside_boxes=int(outside.sum()) + left_out.get("outside", 0),
        dark_images=_names(found, found.dark),
        flat_images=_names(found, found.flat & ~found.dark),
        left_out=dict(left_out),
        left_out_lines=tuple(left_out_lines)[:MOST_LINES],
        duplicates=_duplicate_count(found, _find_duplicates(found)),
        encoding=encoding,
        outliers=find_outliers(found),
    )


def _names(found: Measured, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(found.names[number] for number in np.flatnonzero(chosen).tolist())


def _find_duplicates(found: Measured) -> Duplicates:
    flat, dark = (set(np.flatnonzero(chosen).tolist()) for chosen in (found.flat, found.dark))
    return find_duplicates(found.looks, nothing=flat, hardly=dark)


def _class_counts(found: Measured, classes: Sequence[str]) -> tuple[ClassCount, ...]:
    objects = np.bincount(found.class_ids, minlength=len(classes)).tolist()
    with_class = np.unique(np.stack([found.image_ids, found.class_ids]), axis=1)[1]
    images = np.bincount(with_class, minlength=len(classes)).tolist()
    return tuple(ClassCount(name, objects[k], images[k]) for k, name in enumerate(classes))


def _channels(levels: NDArray[np.int64]) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return means and deviations of the channels from (3, 256) counts of their values."""
    total = levels.sum(axis=1)
    if not total.all():
        return None, None
    values = np.arange(256, dtype=np.float64)
    means = levels @ values / total
    squares = (levels * (values - means[:, None]) ** 2).sum(axis=1) / total
    return tuple(means.tolist()), tuple(math.sqrt(value) for value in squares)


def _duplicate_count(found: Measured, groups: Duplicates) -> DuplicateCount:
    def names(group: Sequence[int]) -> tuple[str, ...]:
        return tuple(found.names[number] for number in group)

    # A near group that holds an exact one is the same pictures; they are counted once.
    inside = {number for group in groups.near for number in group}
    whole = [*groups.near, *(group for group in groups.exact if group[0] not in inside)]
    return DuplicateCount(
        exact=tuple(map(names, groups.exact)),
        near=tuple(map(names, groups.near)),
        superfluous=groups.superfluous,
        across_splits=sum(len({found.splits[number] for number in group}) > 1 for group in whole),
        other_labels=sum(len({_labels(found, number) for number in group}) > 1 for group in groups.exact),
    )


def _labels(found: Measured, image: int) -> tuple[tuple[float, ...], ...]:
    """Return classes and boxes of a picture, in an order of their own."""
    first, end = np.searchsorted(found.image_ids, [image, image + 1])
    rows = np.column_stack([found.class_ids[first:end], np.round(found.box_xyxy[first:end], 2)]).tolist()
    return tuple(sorted(map(tuple, rows)))
