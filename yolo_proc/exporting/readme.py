"""The README of an exported model: how a Java developer uses it, with this model's own values."""

from yolo_proc.exporting.spec import ModelSpec

_TEXT = """# A detector of {what}

`model.onnx` finds {classes} in pictures. It is one file that needs no other; `model.json` says what is in it, and
is in its metadata too (key `yolo_proc`). `vectors/` holds pictures with what every stage must make of them.

## Java

With the library `yolo-proc-detector` (folder `export/java` of yolo_proc; Java 17 or newer):

```java
import java.nio.file.Path;
import yoloproc.Detector;

try (var detector = Detector.load(Path.of("model.onnx"))) {{
    for (var found : detector.detect(Path.of("photo.jpg"))) {{
        System.out.println(found);  // class, confidence 0 to 1, corners in the photo's own pixels
    }}
}}
```

On a command line, and a proof that the Java at hand does what Python did:

    java -jar yolo-proc.jar detect model.onnx photo.jpg --json
    java -jar yolo-proc.jar verify .

## Python

```python
from yolo_proc.exporting.session import OnnxDetector

found = OnnxDetector.load("model.onnx").detect(rgb)  # uint8 (H, W, 3), red first
```

## Any other runtime

| | |
|---|---|
| input `{input_name}` | {value_type}, {input_shape}, RGB, values {low:g} to {high:g}; N is free |
| pictures of another size | letterbox by rule 1 into {width} x {height}, grey 114 around; the graph does the rest |
| output `{output_name}` | float32, N x {slots} x {fields}: {kind} |
| one slot | x, y, w, h, J, then {class_count} classes; {decoding} |
| confidence | at least {confidence:g} |
| suppression | {nms}: of two boxes with IoU {max_iou:g} or more the surer one stays |

{grids}

Classes by index: {numbered}.
"""

_PREDICTIONS = "the centre is (cell + x, y) x stride, the size w, h x anchor"
_LOGITS = "the centre is (cell + sigmoid(x, y)) x stride, the size exp(w, h) x anchor"


def readme_text(spec: ModelSpec) -> str:
    """The text, in Markdown."""
    names = ", ".join(_code(name) for name in spec.classes[:20]) + (", ..." if len(spec.classes) > 20 else "")
    grids = [
        f"- Slots from {offset}: {grid.columns} x {grid.rows} cells of {grid.stride} pixels, row by row, anchors "
        + ", ".join(f"{w:g} x {h:g}" for w, h in grid.anchors)
        for grid, offset in zip(spec.grids, spec.codec.grid_offsets, strict=False)
    ]
    own = {"nms": "per class", "max_iou": spec.defaults.max_iou, "confidence": spec.defaults.confidence}
    if spec.defaults.nms == "agnostic":
        own["nms"] = "of all classes together"
    return _TEXT.format(
        what=str(spec.training.get("generator", "objects")),
        classes=names,
        input_name=spec.input_name,
        value_type=spec.value_type,
        input_shape=" x ".join(str(side) for side in ("N", *spec.input_shape)),
        low=spec.value_range[0],
        high=spec.value_range[1],
        width=spec.width,
        height=spec.height,
        output_name=spec.output_name,
        slots=spec.codec.slots,
        fields=spec.codec.fields,
        kind="predictions; J is the confidence" if spec.activated else "raw logits; the confidence is the sigmoid of J",
        class_count=len(spec.classes),
        decoding=_PREDICTIONS if spec.activated else _LOGITS,
        grids="\n".join(grids),
        numbered=", ".join(f"{number} {_code(name)}" for number, name in enumerate(spec.classes)),
        **own,
    )


def _code(name: str) -> str:
    """A class's name as code; a name is any text, so that its own backticks and line breaks go."""
    return f"`{' '.join(name.replace('`', chr(39)).split()) or ' '}`"
