"""An inspection for people: tables, and what of it asks for a decision."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from yolo_proc.detection.codec import SLOT_TAKEN
from yolo_proc.inspection.outliers import UNUSUAL
from yolo_proc.inspection.sources import Determinism, Timing
from yolo_proc.inspection.statistics import Statistics, Summary

MOST_CLASSES = 40  # rows of the table
MOST_GROUPS = 5  # of duplicates that are listed
MOST_NAMES = 8  # in a sentence
IMBALANCE = 10.0  # objects of the most to those of the least frequent class
FEW = 50  # objects of a class, below which it is hardly learned
EMPTY_SHARE = 0.5
DROPPED_SHARE = 0.01
LEAST_FIT = 0.5  # mean IoU of boxes with their anchors


@dataclass(frozen=True)
class Inspection:
    """All that `inspect` finds; `to_dict` is what `--json` prints.

    Attributes:
        source: what was inspected, as the user named it.
        kind: "generator" or the format of the data set.
        notes: lines from reading.
        timing, determinism: of a generator.
        files: what was written, by what it shows.
    """

    source: str
    kind: str
    statistics: Statistics
    notes: tuple[str, ...] = ()
    timing: Timing | None = None
    determinism: Determinism | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[str, ...]:
        """Return the findings that ask for a decision, with advice; the gravest first."""
        found = [*_about_determinism(self.determinism), *_about_pictures(self.statistics), *self.notes]
        return (*found, *_about_labels(self.statistics), *_about_encoding(self.statistics))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, all of which JSON can say."""
        timing = None
        if self.timing is not None:
            timing = {**asdict(self.timing), "images_per_second": self.timing.images_per_second}
        determinism = None
        if self.determinism is not None:
            determinism = {**asdict(self.determinism), "holds": self.determinism.holds}
        return {
            "source": self.source,
            "kind": self.kind,
            "statistics": self.statistics.to_dict(),
            "timing": timing,
            "determinism": determinism,
            "findings": self.findings,
            "notes": self.notes,
            "files": dict(self.files),
        }

    def text(self) -> str:
        """Return the tables."""
        found = self.statistics
        blocks = [
            [self._title(), *self.notes],
            _pictures(found),
            _distributions(found),
            _classes(found),
            _encoding(found),
            _duplicates(found),
            _left_out(found),
            _outliers(found),
            _speed(self.timing),
            _determinism(self.determinism),
            ["Findings", *(f"  - {line}" for line in self.findings or ("nothing stands out",))],
            [f"{path}: {what}" for what, path in self.files.items()],
        ]
        return "\n\n".join("\n".join(block) for block in blocks if block)

    def _title(self) -> str:
        found = self.statistics
        what = "scenes" if self.kind == "generator" else f"pictures, format {self.kind}"
        return (
            f"{self.source}: {found.images:,} {what}, {found.objects:,} objects of {len(found.classes)} "
            f"{'class' if len(found.classes) == 1 else 'classes'}"
        )


# ------------------------------------------------------------------------------------------------ tables


def _table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Return rows of cells, flush left in the columns `left` and flush right in the others."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _percent(part: float, whole: float) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.0f} %" if share >= 10 or share == 0 else f"{share:.2g} %"


def _pictures(found: Statistics) -> list[str]:
    lines = ["Pictures"]
    if len(found.splits) > 1:
        lines.append("  " + ", ".join(f"{split}: {count:,}" for split, count in found.splits.items()))
    sizes = [f"{width} x {height} ({count:,})" for width, height, count in found.picture_sizes[:5]]
    if sizes:
        more = ", ..." if len(found.picture_sizes) > 5 else ""
        lines.append(f"  size in pixels: {', '.join(sizes)}{more}")
    lines.append(f"  without an object: {found.empty_images:,} ({_percent(found.empty_images, found.images)})")
    if found.channel_means is not None and found.channel_deviations is not None:
        means = ", ".join(f"{value:.1f}" for value in found.channel_means)
        deviations = ", ".join(f"{value:.1f}" for value in found.channel_deviations)
        lines.append(f"  red, green, blue of 255: means {means}; deviations {deviations}")
    for what, names in (("nearly black", found.dark_images), ("of one colour", found.flat_images)):
        if names:
            lines.append(f"  {what}: {len(names):,} ({_percent(len(names), found.images)}): {_listed(names)}")
    if found.ignore_regions:
        lines.append(f"  ignore regions: {found.ignore_regions:,}")
    if found.other_items:
        lines.append(f"  items that no detector learns (masks, points, polygons, text): {found.other_items:,}")
    return lines


def _distributions(found: Statistics) -> list[str]:
    rows: list[tuple[str, Summary, float, str]] = [
        ("objects a picture", found.objects_per_image, 1, ""),
        ("box width, px", found.box_width, 1, ""),
        ("box height, px", found.box_height, 1, ""),
        ("box side, % of the picture's", found.box_side, 100, ""),
        ("width / height", found.aspect, 1, ""),
        ("overlap with another, IoU", found.overlap, 1, ""),
        ("visible, %", found.visible, 100, "no file says"),
        ("in frame, %", found.in_frame, 100, "no file says"),
        ("confidence, %", found.confidence, 100, "no file says"),
        ("brightness of 255", found.brightness, 1, ""),
        ("contrast of 255", found.contrast, 1, ""),
    ]
    table: list[Sequence[str]] = [("", "least", "5 %", "median", "mean", "95 %", "most")]
    for name, one, factor, unknown in rows:
        values = (one.least, one.low, one.median, one.mean, one.high, one.most)
        cells = ["-" if value is None else _number(factor * value) for value in values]
        told = f"{name} ({unknown})" if one.known == 0 and found.objects and unknown else name
        table.append((told, *cells))
    return ["Distributions", *_table(table)]


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


def _classes(found: Statistics) -> list[str]:
    rows = [("", "objects", "share", "pictures")]
    rows += [
        (one.name, f"{one.objects:,}", _percent(one.objects, found.objects), f"{one.images:,}")
        for one in found.classes[:MOST_CLASSES]
    ]
    rest = found.classes[MOST_CLASSES:]
    if rest:
        objects = sum(one.objects for one in rest)
        rows.append((f"{len(rest)} more classes", f"{objects:,}", _percent(objects, found.objects), ""))
    return ["Classes", *_table(rows)]


def _encoding(found: Statistics) -> list[str]:
    encoding = found.encoding
    if encoding is None:
        return []
    width, height = encoding.image_size
    lines = [f"Encoder for {width} x {height} pixels"]
    for grid in encoding.grids:
        anchors = ", ".join(f"{w:.3g} x {h:.3g}" for w, h in grid.anchors)
        lines.append(f"  stride {grid.stride}: {grid.columns} x {grid.rows} cells, anchors {anchors}")
    fit = "" if encoding.anchor_fit is None else f"; mean IoU with the boxes {encoding.anchor_fit:.2f}"
    lines.append(f"  anchors {encoding.anchors_from}{fit}")
    rows = [("encoded", f"{encoding.encoded:,}", _percent(encoding.encoded, found.objects), "")]
    for reason, count in encoding.dropped.items():
        examples = ", ".join(encoding.examples.get(reason, ()))
        rows.append(
            (f"dropped: {reason}", f"{count:,}", _percent(count, found.objects), examples and f"e.g. {examples}")
        )
    return [*lines, *_table(rows, left=(0, 3))]


def _duplicates(found: Statistics) -> list[str]:
    one = found.duplicates
    if not one.exact and not one.near:
        return ["Duplicates", "  none, neither of equal pixels nor nearly alike"]
    lines = [
        "Duplicates",
        f"  equal pixels: {len(one.exact):,} groups, {one.superfluous:,} pictures too many",
        f"  nearly alike: {len(one.near):,} groups",
    ]
    for groups in (one.exact, one.near):
        lines += [f"    {_listed(group)}" for group in groups[:MOST_GROUPS]]
        if len(groups) > MOST_GROUPS:
            lines.append(f"    and {len(groups) - MOST_GROUPS:,} more; --json lists them")
    return lines


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _left_out(found: Statistics) -> list[str]:
    if not found.left_out:
        return []
    lines = ["Left out", *_table([(reason, f"{count:,}") for reason, count in found.left_out.items()])]
    lines += [f"  {line}" for line in found.left_out_lines]
    more = sum(found.left_out.values()) - len(found.left_out_lines)
    return [*lines, f"  and {more:,} more"] if more > 0 else lines


def _outliers(found: Statistics) -> list[str]:
    if not found.outliers:
        return []
    rows = [("", "picture", "", "z")]
    rows += [(one.kind, one.image, one.found, f"{one.z:.1f}{' !' if one.unusual else '  '}") for one in found.outliers]
    return [f"Farthest from the middle (z in robust deviations; ! from {UNUSUAL} on)", *_table(rows, left=(0, 1, 2))]


def _speed(timing: Timing | None) -> list[str]:
    if timing is None or not timing.scenes:
        return []
    rows = [("", "ms a scene", "share", "scenes")]
    rows += [
        (
            stage.name,
            f"{1000 * stage.seconds / timing.scenes:.3f}",
            _percent(stage.seconds, timing.seconds),
            f"{stage.scenes:,}",
        )
        for stage in timing.stages
    ]
    rows.append(("total", f"{1000 * timing.seconds / timing.scenes:.3f}", "", f"{timing.scenes:,}"))
    return [f"Speed in one process: {timing.images_per_second:,.0f} images/s", *_table(rows)]


def _determinism(one: Determinism | None) -> list[str]:
    if one is None:
        return []
    ways = [("again", one.again), ("in another order", one.other_order)]
    if not one.not_checked:
        ways.append(("in another process", one.other_process))
    words = "; ".join(f"{way}: {'the same' if not bad else f'{len(bad)} differ'}" for way, bad in ways)
    lines = [f"Determinism of the first {one.scenes} scenes", f"  drawn {words}"]
    return [*lines, f"  in another process: not checked, {one.not_checked}"] if one.not_checked else lines


# ---------------------------------------------------------------------------------------------- findings


def _about_determinism(one: Determinism | None) -> Iterator[str]:
    if one is None or one.holds:
        return
    if one.again or one.other_order:
        numbers = sorted({*one.again, *one.other_order})
        yield (
            f"scenes {_listed([str(number) for number in numbers])} are not the same when drawn again: draw every "
            "random number from the rng that draw() is given, and keep no state between scenes"
        )
    elif one.other_process:
        yield (
            f"scenes {_listed([str(number) for number in one.other_process])} differ in another process: does the "
            "order of a set or a hash() decide something?"
        )


def _about_pictures(found: Statistics) -> Iterator[str]:
    left_out = sum(found.left_out.values())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in found.left_out.items())
    if found.nothing_read:
        yield f"nothing can be read: all is left out ({reasons}), first: {found.left_out_lines[0]}"
    elif left_out:
        yield (
            f"{left_out:,} of {found.images + left_out:,} pictures are left out ({reasons}): mend them, or let "
            "--generator.skip-bad go on without them"
        )
    of = f"of {found.images:,} pictures are"
    if found.dark_images:
        yield (
            f"{len(found.dark_images):,} {of} nearly black (first: {found.dark_images[0]}): hardly a pixel has a "
            "quarter of the brightness; 16-bit files of a camera with 10, 12 or 14 bits need --bit-depth, else look "
            "whether they are meant"
        )
    if found.flat_images:
        yield (
            f"{len(found.flat_images):,} {of} of one colour (first: {found.flat_images[0]}): nothing can be seen in "
            "them; take them out, or look what became of them"
        )
    one = found.duplicates
    if one.across_splits:
        yield (
            f"{one.across_splits:,} groups of duplicates lie in more than one split: what was learned is then judged "
            "again; keep each group in one"
        )
    if one.other_labels:
        yield f"{one.other_labels:,} groups of equal pictures have different labels: one of them must be wrong"
    if one.superfluous:
        yield f"{one.superfluous:,} pictures repeat an earlier one pixel by pixel: they count twice; remove them"
    if one.near:
        yield f"{len(one.near):,} groups of pictures are nearly alike: look whether they are meant"
    if found.images and found.empty_images > EMPTY_SHARE * found.images:
        share = _percent(found.empty_images, found.images)
        yield f"{share} of the pictures have no object: are their labels missing, or not found?"


def _about_labels(found: Statistics) -> Iterator[str]:
    if found.nothing_read:
        return
    if not found.objects:
        yield "there is no object: nothing can be learned from this"
        return
    if found.never_drawn:
        yield (
            f"never drawn: {_listed(found.never_drawn)}; a detector cannot learn what it never sees: add pictures, or "
            "take the names off the list"
        )
    drawn = [one for one in found.classes if one.objects]
    least, most = min(drawn, key=lambda one: one.objects), max(drawn, key=lambda one: one.objects)
    if most.objects > IMBALANCE * least.objects:
        yield (
            f"{most.name} is drawn {most.objects / least.objects:.0f} times as often as {least.name}: balance them, or "
            "expect the rare class to be missed"
        )
    few = [one.name for one in drawn if one.objects < FEW]
    if few and found.images >= FEW:
        yield f"fewer than {FEW} objects: {_listed(few)}; so few are hardly learned"
    if found.degenerate_boxes:
        yield f"{found.degenerate_boxes:,} boxes have no area: mend them, nothing can be learned from them"
    if found.outside_boxes:
        yield f"{found.outside_boxes:,} boxes leave their picture: are they of another size of it?"


def _about_encoding(found: Statistics) -> Iterator[str]:
    encoding = found.encoding
    if encoding is None or not found.objects:
        return
    width, _ = encoding.image_size
    finer = max(encoding.grids[0].stride // 2, 4)
    advice = {
        SLOT_TAKEN: f"share their slot with another; a smaller stride (--model.strides {finer}) or more anchors "
        "(--model.anchors-per-grid) would keep them, unless they are labelled twice",
        "min_visible": "are hidden beyond --labels.min-visible",
        "min_in_frame": "are cut off beyond --labels.min-in-frame",
        "min_box_px": f"are smaller than --labels.min-box-px in {width} pixels; a larger --image-size would keep them",
    }
    for reason, count in encoding.dropped.items():
        if count > DROPPED_SHARE * found.objects:
            yield f"{count:,} objects ({_percent(count, found.objects)}) will be ignored: they {advice[reason]}"
    if encoding.anchor_fit is not None and encoding.anchor_fit < LEAST_FIT:
        yield (
            f"the anchors fit the boxes with a mean IoU of {encoding.anchor_fit:.2f} only: more of them "
            "(--model.anchors-per-grid 3) would fit better"
        )
