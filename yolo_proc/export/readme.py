"""The README of an exported model: how a Java developer uses it, with this model's own values."""

from collections.abc import Mapping

from yolo_proc.export.spec import ModelSpec

_TEXT = """# A detector of {what}

`model.onnx` finds {classes} in pictures. It is one file that needs no other; `model.json` says what is in it, and
is in its metadata too (key `yolo_proc`). `vectors/` holds pictures with what every stage must make of them.
{others}
## Java

The library is the folder `export/java` of yolo_proc. It needs Java 17 or newer, and Maven to be built, once:

    cd export/java && mvn -q install

That makes `export/java/target/yolo-proc.jar`, one file with everything in it, and puts the library where Maven and
Gradle find it: `yoloproc:yolo-proc-detector:0.1.0`. With a copy of the jar beside `model.onnx`, save this as
`Find.java`:

```java
import java.nio.file.Path;
import yoloproc.Detector;

class Find {{
    public static void main(String[] words) throws Exception {{
        try (var detector = Detector.load(Path.of("model.onnx"))) {{
            for (var found : detector.detect(Path.of(words[0]))) System.out.println(found);
        }}
    }}
}}
```

and run it on a picture of yours:

    java -cp yolo-proc.jar Find.java photo.jpg

It prints a line for each thing found, such as `{example} 0.98 [120.5, 48.0, 216.0, 158.2]`: class, confidence from
0 to 1, and left, upper, right and lower edge in the photo's own pixels. The same without a program, and a proof that
the Java at hand does what Python did:

    java -jar yolo-proc.jar detect model.onnx photo.jpg --json
    java -jar yolo-proc.jar verify .

## Python

```python
from yolo_proc.export.session import OnnxDetector
from yolo_proc.imaging.pictures import read_picture

detector = OnnxDetector.load("model.onnx")
found = detector.detect(read_picture("photo.jpg"))
for class_id, confidence, box in zip(found.class_ids, found.confidence, found.box_xyxy, strict=True):
    print(detector.classes[class_id], confidence, box)
```

## Any other runtime

| | |
|---|---|
| input `{input_name}` | {value_type}, {input_shape}, RGB, values {low:g} to {high:g}; N is free |
| output `{output_name}` | float32, N x {slots} x {fields}: {kind} |
| one slot | x, y, w, h, J, then {class_count} classes |
| confidence | {confidence_of}, at least {confidence:g} |
| class | the first maximum |
| centre | {centre} |
| size | {size} |
| suppression | {nms}: of two boxes with IoU {max_iou:g} or more the more confident one stays |

{grids}

A picture of w x h pixels is fitted into the network's W x H, {width} x {height}: r = min(W / w, H / h),
nw = floor(w r + 0.5), nh = floor(h r + 0.5), at least 1; it is resized to nw x nh (bilinear, antialiased, as Pillow
does), its left upper corner at (W - nw) div 2, (H - nh) div 2, with grey 114 around. Boxes go the way back:
x = (x' - left) w / nw, y = (y' - top) h / nh. The graph does all the rest. In pictures of another
shape than those of training objects are small there; `export --input-size` makes a model of that shape from the same
weights.

Classes by index: {numbered}.

## Where it comes from

Trained in yolo_proc: {training}.
Compared with the network in PyTorch on {images} fresh pictures:

{compared}

The times are those of the machine that exported it.
"""

_CENTRE = "((column + {}) x stride, (row + {}) x stride)"
_OTHERS = """
The same network in other precisions: {files}. Take one of them in place of `model.onnx` wherever that is named.
"""


def readme_text(spec: ModelSpec, files: Mapping[str, str], images: int, compared: str) -> str:
    """The text, in Markdown.

    Args:
        files: the names of the models that are written, by precision.
        images: on which they were compared; compared: the table of what was found.
    """
    names = ", ".join(_code(name) for name in spec.classes[:20]) + (", ..." if len(spec.classes) > 20 else "")
    grids = [
        f"- Slots from {offset}: {grid.columns} x {grid.rows} cells of {grid.stride} pixels, row by row, anchors "
        + ", ".join(f"{w!r} x {h!r}" for w, h in grid.anchors)
        for grid, offset in zip(spec.grids, spec.codec.grid_offsets, strict=False)
    ]
    first, *others = files
    more = [f"`{files[precision]}` ({precision})" for precision in others]
    training = ", ".join(f"{key} {value}" for key, value in spec.training.items())
    return _TEXT.format(
        what=str(spec.training.get("generator", "objects")),
        classes=names,
        others=_OTHERS.format(files=" and ".join(more)) if more else "",
        example=" ".join(spec.classes[0].split()),
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
        kind="predictions" if spec.activated else "raw logits",
        confidence_of="J" if spec.activated else "sigmoid(J)",
        centre=_CENTRE.format(*(("x", "y") if spec.activated else ("sigmoid(x)", "sigmoid(y)"))),
        size="(w, h) x anchor" if spec.activated else "exp(w, h) x anchor, w and h clamped to -20 ... 9.2 before",
        class_count=len(spec.classes),
        grids="\n".join(grids),
        numbered=", ".join(f"{number} {_code(name)}" for number, name in enumerate(spec.classes)),
        nms="of all classes together" if spec.defaults.nms == "agnostic" else "per class",
        max_iou=spec.defaults.max_iou,
        confidence=spec.defaults.confidence,
        training=f"{training}; {first} weights in `{files[first]}`",
        images=images,
        compared="\n".join(f"    {line}" for line in compared.splitlines()),
    )


def _code(name: str) -> str:
    """A class's name as code; a name is any text, so that its own backticks and line breaks go."""
    return f"`{' '.join(name.replace('`', chr(39)).split()) or ' '}`"
