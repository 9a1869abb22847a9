"""Backbones, one a file. Importing this package registers them; a name is what `--model` takes."""

from yolo_proc.models.backbones import original, resnet, small  # noqa: F401
