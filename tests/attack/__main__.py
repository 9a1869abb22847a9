"""Attacks every reader with damaged files, and tells what came of it; writes docs/attack.md of a whole run.

Run: make attack                                        five minutes, each reader for the same time
     make attack ARGS="--minutes 60"                    an hour
     make attack ARGS="--inputs 1000000"                so many in all, as many for each reader; hours
     make attack ARGS="--only yolo-yaml,coco-json"      some readers; --list names them
     make attack ARGS="--replay yolo-yaml:0:1234"       one input again, with what was done to it and its traceback

What is done stands in build/attack/DIGEST-SEED/, of the code as it is; the same command goes on where it was stopped. A
finding is a file in findings/ there, with the damaged files beside it. The malicious files and the kills (--kills: more
of them) are done once for a state of the code.
"""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[0] = str(TESTS)  # the folder of this file would hide modules of the same names

if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        from attack.worker import main as work

        work(sys.argv[2], sys.argv[3])
    elif sys.argv[1:2] == ["--kills"] and len(sys.argv) == 4 and not sys.argv[2].isdecimal():
        from attack.kills import main as kill

        raise SystemExit(kill(sys.argv[2], int(sys.argv[3])))
    else:
        from attack.command import main

        raise SystemExit(main(__doc__ or ""))
