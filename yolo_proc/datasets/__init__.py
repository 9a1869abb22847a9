"""Data sets on disk: written from a stream, or from another data set."""
