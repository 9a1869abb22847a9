"""A trained network outside of Python: the ONNX file, what it says of itself, and the proof that it does the same."""
