"""The cases behind the network that are worked by hand; the arithmetic stands in each comment.

Grid 0 has cells of 8 px, 8 x 6, anchors 8x8 and 32x8; grid 1 cells of 16 px, 4 x 3, anchors 20x16, 20x22 and 20x40. So
slot = (row * 8 + column) * 2 + anchor in grid 0, 96 + (row * 4 + column) * 3 + anchor in grid 1, 132 slots. A logit of
0 puts the centre into the middle of its cell and gives the box its anchor's size; -100 and 100 put the centre on the
cell's near and far border, exactly, in doubles.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from vector_model import FIELDS, GRIDS, SLOTS
from vector_reference import activate as activate_by_decimals
from vector_reference import assign, deactivate, decode, suppress

from yolo_proc.config.schema import LabelConfig
from yolo_proc.export.stages import Case

NEAR, FAR = -100.0, 100.0
NEXT_BELOW = float(np.nextafter(np.float32(0), np.float32(-1)))
LIMIT_06 = 0.40546510810816  # ln(0.6 / 0.4)


def slot_of(grid: int, column: int, row: int, anchor: int) -> int:
    place = GRIDS[grid]
    return (0, 96)[grid] + (row * place.columns + column) * len(place.anchors) + anchor


def logits_with(*rows: tuple[int, dict[str, Any]]) -> np.ndarray:
    """Logits (S, 5 + C) of a picture that shows nothing but what `rows` say: (slot, {x, y, w, h, j, classes})."""
    logits = np.zeros((SLOTS, FIELDS), np.float32)
    logits[:, 4] = -20
    for slot, given in rows:
        values = {"x": 0.0, "y": 0.0, "w": 0.0, "h": 0.0, "j": 2.0, "classes": (1, 0, 0), **given}
        *fields, classes = values.values()
        logits[slot] = [*fields, *classes]
    return logits


def _decode_case(
    name: str, outputs: np.ndarray, comment: str, confidence: float = 0.65, most: int = 1000, activated: bool = False
) -> Case:
    given = {"predictions" if activated else "logits": outputs, "confidence": confidence, "max_candidates": most}
    found = decode(outputs, confidence, most, activated=activated)
    return Case(f"decode_{name}", "decode", given, found, comment)


def decode_cases() -> Iterator[Case]:
    yield _decode_case(
        "by_hand",
        logits_with((21, {}), (131, {"j": 1.0, "classes": (0, 0, 1)})),
        "21 = (1 * 8 + 2) * 2 + 1: column 2, row 1, anchor 32x8: centre (2.5 * 8, 1.5 * 8) = (20, 12), box 4 8 36 16. "
        "131 = 96 + (2 * 4 + 3) * 3 + 2: column 3, row 2, anchor 20x40: centre (56, 40), box 46 20 66 60, beyond the "
        "frame and not clipped here. Confidences 1 / (1 + e^-2) = 0.880797, 1 / (1 + e^-1) = 0.731059.",
    )
    yield _decode_case("empty", logits_with(), "J is -20 everywhere: nothing, arrays of no rows")
    yield _decode_case(
        "tie",
        logits_with(*((slot, {"j": j}) for slot, j in ((100, 2.0), (7, 2.0), (40, 3.0), (95, 2.0), (96, 2.0)))),
        "the surest first, equal J by ascending slot: 40, then 7, 95, 96, 100",
    )
    yield _decode_case(
        "tie_at_the_cut",
        logits_with(*((slot, {"j": 2.0}) for slot in (131, 3, 50))),
        "three of equal J, two go on: the lower slots 3 and 50",
        most=2,
    )
    yield _decode_case(
        "limit_is_met",
        logits_with((10, {"j": 0.0}), (11, {"j": -0.0}), (12, {"j": NEXT_BELOW}), (13, {"j": -1e-3})),
        "ln(0.5 / 0.5) = 0: J of 0 and -0 stay and are equal, the next float below does not",
        confidence=0.5,
    )
    below, above = float(np.float32(LIMIT_06)), float(np.nextafter(np.float32(LIMIT_06), np.float32(1)))
    assert below < LIMIT_06 < above
    yield _decode_case(
        "limit_is_a_double",
        logits_with((10, {"j": below}), (11, {"j": above}), (12, {})),
        "ln(0.6 / 0.4) = 0.40546510811; the nearest float32, 0.40546509624, lies below and goes, the next, "
        "0.40546512604, stays. A limit rounded to float32 would keep both",
        confidence=0.6,
    )
    yield _decode_case(
        "everything",
        logits_with((5, {}), (99, {"j": -30.0})),
        "a confidence of 0 keeps every slot; 4 go on: 5, then the first of those at -20",
        confidence=0.0,
        most=4,
    )
    yield _decode_case(
        "certainty", logits_with((5, {"j": 80.0})), "a confidence of 1 needs an infinite logit", confidence=1.0
    )
    yield _decode_case(
        "saturated_j",
        logits_with((4, {"j": 60.0}), (80, {"j": 200.0}), (120, {"j": 40.0})),
        "1 / (1 + e^-40) = 1 - 4e-18 is 1 as a double, so all confidences are 1; raw J still orders: 80, 4, 120",
    )
    yield _decode_case(
        "saturated_box",
        logits_with((4, {"x": NEAR, "y": FAR, "w": 50.0, "h": -50.0})),
        "slot 4: column 2, row 0, anchor 8x8. x: 1 / (1 + e^100) = 4e-44, + 2 is 2, * 8 = 16; y: 1 * 8 = 8; "
        "w = 8 * e^9.2 = 79177.03, h = 8 * e^-20 = 1.65e-8",
    )
    yield _decode_case(
        "class_ties",
        logits_with(
            (4, {"j": 4.0, "classes": (0, 3, 3)}),
            (6, {"j": 3.0, "classes": (2, 2, 2)}),
            (8, {"j": 2.0, "classes": (900, 0, 1000)}),
            (10, {"j": 1.0, "classes": (-1000, -1001, -999)}),
        ),
        "the first maximum of the raw values: 1, 0, 2, 2",
    )
    yield from _predictions_cases()


def _predictions_cases() -> Iterator[Case]:
    predictions = activate_by_decimals(logits_with((4, {}), (100, {"j": 1.0}))).astype(np.float32)
    predictions[7] = (0.25, 0.5, 1.5, 2.0, 0.65, 0.25, 0.5, 0.25)
    predictions[9] = (0.25, 0.5, 1.5, 2.0, np.nextafter(np.float32(0.65), np.float32(1)), 0.25, 0.25, 0.5)
    yield _decode_case(
        "predictions",
        predictions,
        "outputs of a model with the activations inside. Slot 9: column 4, row 0, anchor 32x8: centre (4.25 * 8, 4) = "
        "(34, 4), 48 x 16, box 10 -4 58 12. Slot 7 has J 0.65 as a float32, which is 0.64999998 and below 0.65",
        activated=True,
    )


def _nms_case(name: str, logits: np.ndarray, comment: str, **options: Any) -> Case:
    given = {"confidence": 0.65, "max_candidates": 1000, "nms": "class", "max_iou": 0.4, "max_detections": 300}
    given |= options
    candidates = decode(logits, given["confidence"], given["max_candidates"])
    found = suppress(candidates, given["nms"], given["max_iou"], given["max_detections"])
    return Case(f"nms_{name}", "nms", {"logits": logits, **given}, found, comment)


# One cell, centre (24, 24), three sizes: 20 x 16, 20 x 22 and 20 x 40, each inside the next.
SMALL, MIDDLE, LARGE = (slot_of(1, 1, 1, anchor) for anchor in range(3))
TWO_CLASSES = logits_with((LARGE, {}), (SMALL, {"j": 1.0, "classes": (0, 1, 0)}))
SAME_CLASS = logits_with((LARGE, {}), (SMALL, {"j": 1.0}))
ROW = logits_with(*((slot_of(0, column, 2, 1), {"j": 4.0 - column / 2}) for column in (2, 4, 6)))


def nms_cases() -> Iterator[Case]:
    yield _nms_case(
        "iou_is_max_iou",
        SAME_CLASS,
        "20x16 inside 20x40: intersection 320, union 800; 320 >= 0.4 * 800 = 320, so the less sure one is dropped",
    )
    yield _nms_case(
        "iou_below_max_iou",
        SAME_CLASS,
        "the same boxes; 320 >= 0.400001 * 800 = 320.0008 is false: both stay",
        max_iou=0.400001,
    )
    yield _nms_case(
        "no_division",
        logits_with((LARGE, {}), (MIDDLE, {"j": 1.0})),
        "20x22 inside 20x40: intersection 440, union 800; 0.55 * 800 is 440.00000000000006 in doubles, so "
        "440 >= 0.55 * 800 is false and both stay. A division, 440 / 800 >= 0.55, would drop one",
        max_iou=0.55,
    )
    yield _nms_case("two_classes", TWO_CLASSES, "boxes of two classes are not compared: both stay")
    yield _nms_case(
        "two_classes_agnostic", TWO_CLASSES, "compared whatever their class: 320 >= 320, one stays", nms="agnostic"
    )
    yield _nms_case(
        "chain",
        ROW,
        "boxes 4..36, 20..52 and 36..68 across, in order: the first drops the second (128 >= 0.3 * 384 = 115.2), and "
        "what was dropped drops nothing: the third, which overlaps only the second, stays; clipped to 36..64",
        max_iou=0.3,
    )
    yield _nms_case("max_detections", ROW, "one is left, the surest", max_iou=0.5, max_detections=1)
    yield _nms_case(
        "all_of_a_class",
        ROW,
        "0 >= 0 * union is true for boxes that do not even touch: the surest is left",
        max_iou=0.0,
    )
    edge = logits_with((slot_of(0, 7, 0, 1), {}), (slot_of(0, 6, 0, 1), {"x": FAR, "j": 1.0}))
    yield _nms_case(
        "compared_unclipped",
        edge,
        "boxes 44..76 and 40..72 across, 8 high: 28 * 8 = 224 >= 0.8 * 288 = 230.4 is false, both stay. Clipped to the "
        "frame, 44..64 and 40..64, they would be 160 >= 0.8 * 192 = 153.6, and one would go",
        max_iou=0.8,
    )
    same = logits_with(
        (slot_of(0, 2, 2, 1), {"x": FAR, "classes": (0, 0, 1)}),
        (slot_of(0, 3, 2, 1), {"x": NEAR, "classes": (0, 0, 1)}),
        (slot_of(0, 4, 2, 1), {"j": 1.0, "classes": (0, 0, 1)}),
    )
    yield _nms_case(
        "equal_boxes",
        same,
        "two slots whose boxes are both 8 16 40 24, of equal J: intersection 256 >= 1 * 256, the lower slot 37 stays; "
        "the third box, 20 16 52 24, stays too: 160 >= 352 is false",
        max_iou=1.0,
    )
    yield _nms_case(
        "saturated_j",
        logits_with((SMALL, {"j": 60.0}), (LARGE, {"j": 200.0})),
        "both confidences are 1, but the larger raw J stays: the higher slot",
    )
    yield _nms_case("empty", logits_with(), "nothing")


def activate_cases() -> Iterator[Case]:
    rows = np.array(
        [
            [0, -0.0, 0, 0, 0, 0, 0, 0],
            [800, -800, 50, -50, 1000, 1000, 1000, -1000],
            [-100, 100, 9.2, -20, -1000, -1e30, 0, 1],
            [2, -2, 0.5, -0.5, 1, 5, 5, 5],
            [3e38, -3e38, 3e38, -3e38, -3e38, 3e38, -3e38, 0],
        ],
        np.float32,
    )
    comment = (
        "row 0: 0.5, 0.5, 1, 1, 0.5, thirds. Row 1: 1, 0, e^9.2 = 9897.13, e^-20 = 2.06e-9, 1, 0.5, 0.5, 0: no "
        "overflow. Row 4: the largest floats: 1, 0, e^9.2, e^-20, 0, 1, 0, 0"
    )
    yield Case("activate_by_hand", "activate", {"logits": rows}, {"predictions": activate_by_decimals(rows)}, comment)
    none = np.zeros((0, FIELDS), np.float32)
    yield Case("activate_empty", "activate", {"logits": none}, {"predictions": none.astype(np.float64)}, "no rows")


def deactivate_cases() -> Iterator[Case]:
    rows = np.array(
        [
            [0.5, 0.25, 1, 2, 0.5, 1, 0, 0],
            [0, 1, 0, 1e9, 1, 0, 1, 0],
            [0.75, 2.0**-20, 1e-12, 9897.0, -1, 0, 0, 1],
            [0.125, 1 - 2.0**-20, 3, 0.1, 0.65, 0.5, 0.5, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0.3, 0.7, 0.9, 1.1, 1e-12, 1e-12, 0.25, 0.75],
        ]
    )
    comment = (
        "row 0: 0, ln(1/3) = -1.098612, 0, ln 2, 0, 20 0 0. Row 1: x is put to 2^-20, whose logit is -13.862943, y to "
        "1 - 2^-20, w = 0 to -20, h to 9.2, J = 1 to 20. Row 2: an ignored J (-1) becomes -20. Row 3: a class of "
        "probability 0.5 gets 20 + ln 0.5 = 19.306853. Row 4: an empty slot"
    )
    yield Case("deactivate_by_hand", "deactivate", {"predictions": rows}, {"logits": deactivate(rows)}, comment)
    none = np.zeros((0, FIELDS))
    yield Case("deactivate_empty", "deactivate", {"predictions": none}, {"logits": none}, "no rows")


Thing = tuple[tuple[float, float, float, float], int, float, float, float]


def _assign_case(
    name: str, comment: str, objects: list[Thing], ignore: list[tuple[float, ...]] | None = None, **limits: float
) -> Case:
    chosen = {"min_visible": 0.4, "min_in_frame": 0.5, "min_box_px": 4.0, **limits}
    targets, dropped = assign(objects, ignore or [], LabelConfig(**chosen))
    given = {
        "boxes": np.array([thing[0] for thing in objects], np.float64).reshape(-1, 4),
        "class_ids": np.array([thing[1] for thing in objects], np.int32),
        "confidences": np.array([thing[2] for thing in objects], np.float64),
        "visible": np.array([thing[3] for thing in objects], np.float64),
        "in_frame": np.array([thing[4] for thing in objects], np.float64),
        "ignore": np.array(ignore or [], np.float64).reshape(-1, 4),
        **chosen,
    }
    return Case(f"assign_{name}", "assign", given, {"targets": targets, "dropped": dropped}, comment)


def assign_cases() -> Iterator[Case]:
    yield _assign_case(
        "by_hand",
        "16 x 16 at (20, 16): IoU of shapes 256/320 = 0.8 with 20x16, less with the others, so grid 1, column 1; y = "
        "16 is the border, so row 1: slot 96 + (1 * 4 + 1) * 3 = 111; x = 20/16 - 1 = 0.25, y = 0, w = 16/20, h = 1",
        [((12, 8, 28, 24), 2, 1.0, 1.0, 1.0)],
    )
    yield _assign_case(
        "anchors_tie",
        "16 x 8: 64/128 with 8x8, 128/256 with 32x8, both 0.5; 20x16 has 128/320: the lower index, 8x8. Centre (16, "
        "12): column 2, row 1, slot 20; x = 0, y = 0.5, w = 2, h = 1",
        [((8, 8, 24, 16), 0, 1.0, 1.0, 1.0)],
    )
    yield _assign_case(
        "slot_taken",
        "both centres lie in cell (2, 1) of grid 0, anchor 8x8; the surer one, the second, takes slot 20. The cells "
        "whose centre lies in the first's box, 16 8 24 17, are ignored: of grid 0 the cell with centre (20, 12), whose "
        "slot 21 is free; of grid 1 none, as (24, 8) lies on the open border",
        [((16, 8, 24, 17), 0, 0.5, 1.0, 1.0), ((16, 8, 24, 16), 1, 0.9, 1.0, 1.0)],
    )
    yield _assign_case(
        "slot_taken_by_the_first",
        "equal confidences: the first drawn takes slot 20. In the second's box, 15 7 26 17, lie the centres (20, 12) "
        "of grid 0, whose slot 21 is free, and (24, 8) of grid 1: slots 99, 100, 101",
        [((16, 8, 24, 16), 0, 0.7, 1.0, 1.0), ((15, 7, 26, 17), 1, 0.7, 1.0, 1.0)],
    )
    yield _assign_case(
        "below_the_limits",
        "one below each limit, at it no more: in_frame 0.49, visible 0.39, 3.9 px; the fourth is at all three and "
        "stays. The first is below two limits and counts for in_frame",
        [
            ((0, 0, 12, 12), 0, 1.0, 0.1, 0.49),
            ((30, 30, 38, 38), 1, 1.0, 0.39, 1.0),
            ((50, 10, 53.9, 20), 2, 1.0, 1.0, 1.0),
            ((40, 4, 44, 8), 2, 1.0, 0.4, 0.5),
        ],
    )
    yield _assign_case(
        "ignore_regions",
        "region 4 4 12 12 is half-open: the cell centre (4, 4) lies in it, (12, 4), (4, 12) and (12, 12) do not; of "
        "grid 1 (8, 8) does: slots 0, 1, 96, 97, 98. The second region holds the object's own cell (centre (52, 36)), "
        "whose slot 76 stays an object while 77 is ignored",
        [((48, 32, 56, 40), 1, 1.0, 1.0, 1.0)],
        [(4, 4, 12, 12), (50, 34, 54, 38)],
    )
    yield _assign_case(
        "far_edge",
        "a box to the frame's last pixel: 20 x 40, centre (54, 28): column 3, row 1 of grid 1; x = 54/16 - 3 = 0.375",
        [((44, 8, 64, 48), 0, 1.0, 1.0, 1.0)],
    )
    yield _assign_case("empty", "nothing: zeros", [])
    yield _assign_case("crowd", "30 objects on a raster of half pixels, by plain loops", _crowd(30), [(3, 3, 9.5, 40)])


def _crowd(count: int) -> list[Thing]:
    """Objects by a fixed rule: many share slots, some are below a limit."""
    things: list[Thing] = []
    for number in range(count):
        x0, y0 = number * 37 % 96 / 2, number * 53 % 70 / 2
        box = (x0, y0, min(x0 + 3 + number * 11 % 29 / 2, 64.0), min(y0 + 3.5 + number * 7 % 23, 48.0))
        visible = 0.3 if number % 9 == 4 else 1.0
        things.append((box, number % 3, (5 + number % 4) / 8, visible, 0.4 if number % 11 == 7 else 1.0))
    return things
