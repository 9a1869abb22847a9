"""Attacks every reader with damaged and malicious files: see `__main__.py` for how to run it.

mutate.py       damage to bytes, numbers, JSON, YAML, TOML, XML and label lines, keyed by a generator
trees.py        an input: the files of one file's or one folder's reader, on disk, and damage to them
engine.py       what a reader may do with an input, and what is a finding
targets*.py     the readers with valid inputs
campaign.py     many inputs in worker processes; what is done is on disk, and is never done twice
malicious.py    files made by hand, each given to the command line once
kills.py        commands killed at every operation on files
report.py       docs/attack.md
"""
