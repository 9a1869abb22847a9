"""`python -m yolo_proc`."""

from yolo_proc.cli.main import entry

if __name__ == "__main__":  # worker processes import this module too
    entry()
