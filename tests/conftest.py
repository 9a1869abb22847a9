"""What all tests share."""

from hypothesis import settings

# A slow machine is no failure.
settings.register_profile("yolo_proc", deadline=None)
settings.load_profile("yolo_proc")
