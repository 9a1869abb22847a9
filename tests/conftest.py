"""What all tests share."""

import os
import tempfile

from hypothesis import settings

# A slow machine is no failure.
settings.register_profile("yolo_proc", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=15)  # of `make quick`
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "yolo_proc"))

# What `train` remembers of its user, see yolo_proc/data/trust.py; the processes that tests start inherit it.
_state = tempfile.TemporaryDirectory(prefix="yolo_proc-state-")
os.environ["XDG_STATE_HOME"] = _state.name
os.environ.pop("YOLO_PROC_TRUST", None)
