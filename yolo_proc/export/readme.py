"""The README of an exported model: how a Java developer uses it, with this model's own values."""

from collections.abc import Mapping

from yolo_proc.export.spec import DETECTION, ModelSpec

_TEXT = """# A {kind_of_model} of {what}

`model.onnx` {finds} {classes} {where}. It is one file that needs no other; `model.json` says what is in it, and
is in its metadata too (key `yolo_proc`). `vectors/` holds pictures with what every stage must make of them.
{others}
## Java

The library is the folder `export/java` of yolo_proc. It needs Java 17 or newer, and Maven to be built, once:

    cd export/java && mvn -q install

That makes `export/java/target/yolo-proc.jar`, one file with everything in it, and puts the library where Maven and
Gradle find it: `yoloproc:yolo-proc-detector:0.2.0`. With a copy of the jar beside `model.onnx`, save this as
`Find.java`:

```java
import java.nio.file.Path;
import yoloproc.{java_class};

class Find {{
    public static void main(String[] words) throws Exception {{
        try (var {java_name} = {java_class}.load(Path.of("model.onnx"))) {{
            {java_use}
        }}
    }}
}}
```

and run it on a picture of yours:

    java -cp yolo-proc.jar Find.java photo.jpg

{printed}. The same without a program, and a proof that
the Java at hand does what Python did:

    java -jar yolo-proc.jar {java_command} model.onnx photo.jpg --json
    java -jar yolo-proc.jar verify .

## Python

```python
{python}
```

## Any other runtime

| | |
|---|---|
| input `{input_name}` | {value_type}, {input_shape}, RGB, values {low:g} to {high:g}; N is free |
| output `{output_name}` | float32, {output_shape}: {kind} |
{rows}

A picture of w x h pixels is fitted into the network's W x H, {width} x {height}: r = min(W / w, H / h),
nw = floor(w r + 0.5), nh = floor(h r + 0.5), at least 1; it is resized to nw x nh (bilinear, antialiased, as Pillow
does), its left upper corner at (W - nw) div 2, (H - nh) div 2, with grey 114 around. {back}The graph does
all the rest. A picture of another shape than the training images is shown small there; `export --input-size` makes a
model of its shape from the same weights.

Classes by index: {numbered}.

## Where it comes from

Trained in yolo_proc: {training}.
Compared with the network in PyTorch on {images} fresh pictures. `outputs` is the largest difference of a raw output,
{meaning}:

{compared}

The times are those of the machine that exported it.
"""

_DETECTOR = {
    "kind_of_model": "detector",
    "finds": "finds",
    "where": "in pictures",
    "java_class": "Detector",
    "java_name": "detector",
    "java_command": "detect",
    "java_use": "for (var found : detector.detect(Path.of(words[0]))) System.out.println(found);",
    "printed": "It prints a line for each thing found, such as `{example} 0.98 [120.5, 48.0, 216.0, 158.2]`: class, "
    "confidence\nfrom 0 to 1, and left, upper, right and lower edge in the photo's own pixels",
    "meaning": "`boxes` that of a box's corner, `one-sided` the boxes that only one of the two finds, `mAP50-95` that "
    "of\nthe model, `drop` how much lower it is than the network's",
    "back": "Boxes go the way back:\nx = (x' - left) w / nw, y = (y' - top) h / nh. ",
    "python": """from yolo_proc import OnnxDetector, read_picture

detector = OnnxDetector.load("model.onnx")
found = detector.detect(read_picture("photo.jpg"))
for class_id, confidence, box in zip(found.class_ids, found.confidence, found.box_xyxy, strict=True):
    print(detector.classes[class_id], confidence, box)""",
}
_CLASSIFIER = {
    "kind_of_model": "classifier",
    "finds": "tells which of",
    "where": "a picture shows",
    "java_class": "Classifier",
    "java_name": "classifier",
    "java_command": "classify",
    "java_use": "System.out.println(classifier.classify(Path.of(words[0])));",
    "printed": "It prints the most likely class and its confidence from 0 to 1, such as `{example} 0.9812`",
    "meaning": "`changed` the pictures that get another class, `top-1` the share that gets its own,\n`drop` how much "
    "lower it is than the network's",
    "back": "",
    "python": """from yolo_proc import OnnxClassifier, read_picture

classifier = OnnxClassifier.load("model.onnx")
found = classifier.classify(read_picture("photo.jpg"))
print(classifier.classes[found.class_id], found.confidence[0])""",
}

_CENTRE = "((column + {}) x stride, (row + {}) x stride)"
_OTHERS = """
The same network in other precisions: {files}. Take one of them in place of `model.onnx` wherever that is named.
"""


def readme_text(spec: ModelSpec, files: Mapping[str, str], images: int, compared: str) -> str:
    """Return the text, in Markdown.

    Args:
        files: the names of the models that are written, by precision.
        images: on which they were compared; compared: the table of what was found.
    """
    names = ", ".join(_code(name) for name in spec.classes[:20]) + (", ..." if len(spec.classes) > 20 else "")
    first, *others = files
    more = [f"`{files[precision]}` ({precision})" for precision in others]
    training = ", ".join(f"{key} {value}" for key, value in spec.training.items())
    words = _DETECTOR if spec.task == DETECTION else _CLASSIFIER
    example = " ".join(spec.classes[0].split())
    return _TEXT.format(
        **{**words, "printed": words["printed"].format(example=example)},
        what=str(spec.training.get("generator", "objects")),
        classes=names,
        others=_OTHERS.format(files=" and ".join(more)) if more else "",
        input_name=spec.input_name,
        value_type=spec.value_type,
        input_shape=" x ".join(str(side) for side in ("N", *spec.input_shape)),
        low=spec.value_range[0],
        high=spec.value_range[1],
        width=spec.width,
        height=spec.height,
        output_name=spec.output_name,
        output_shape=" x ".join(str(side) for side in ("N", *spec.output_shape)),
        kind="predictions" if spec.activated else "raw logits",
        rows="\n".join(_rows_of_detector(spec) if spec.task == DETECTION else _rows_of_classifier(spec)),
        numbered=", ".join(f"{number} {_code(name)}" for number, name in enumerate(spec.classes)),
        training=f"{training}; {first} weights in `{files[first]}`",
        images=images,
        compared="\n".join(f"    {line}" for line in compared.splitlines()),
    )


def _rows_of_detector(spec: ModelSpec) -> list[str]:
    """Return what the outputs mean: rows of the table, then the grids."""
    offsets = _CENTRE.format(*(("x", "y") if spec.activated else ("sigmoid(x)", "sigmoid(y)")))
    size = "(w, h) x anchor" if spec.activated else "exp(w, h) x anchor, w and h clamped to -20 ... 9.2 before"
    defaults = spec.defaults
    suppression = "of all classes together" if defaults.nms == "agnostic" else "per class"
    grids = [
        f"- Slots from {offset}: {grid.columns} x {grid.rows} cells of {grid.stride} pixels, row by row, anchors "
        + ", ".join(f"{w!r} x {h!r}" for w, h in grid.anchors)
        for grid, offset in zip(spec.grids, spec.codec.grid_offsets, strict=False)
    ]
    return [
        f"| one slot | x, y, w, h, J, then {len(spec.classes)} classes |",
        f"| confidence | {'J' if spec.activated else 'sigmoid(J)'}, at least {defaults.confidence:g} |",
        "| class | the first maximum |",
        f"| centre | {offsets} |",
        f"| size | {size} |",
        f"| suppression | {suppression}: of two boxes with IoU {defaults.max_iou:g} or more the more confident one "
        "stays |",
        "",
        *grids,
    ]


def _rows_of_classifier(spec: ModelSpec) -> list[str]:
    """Return what the outputs mean: rows of the table."""
    of = "the output" if spec.activated else "softmax of the output: exp(logit) over the sum of all"
    return [f"| confidence | {of} |", "| class | the first maximum |"]


def _code(name: str) -> str:
    """Return a class's name as code; a name is any text, so that its own backticks and line breaks go."""
    return f"`{' '.join(name.replace('`', chr(39)).split()) or ' '}`"
