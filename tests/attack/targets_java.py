"""The readers of the Java library, in one virtual machine that is asked for one input after another."""

import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from picture_files import WHOLE
from small_sets import GOLDEN
from tiny_export import network, spec_of

from attack.engine import ACCEPTED, Target
from attack.mutate_formats import damage_json
from attack.targets_files import PictureTarget
from attack.targets_runs import VectorsTarget
from attack.trees import Content, Room, Tree, damage_tree
from yolo_proc.errors import DataError

Rng = np.random.Generator

JAVA = Path(__file__).parents[2] / "export" / "java" / "core"
MEMORY = "-Xmx768m"  # what one input may add, in the engine's words


class JavaStackError(Exception):
    """Something else than a refusal came out of the Java library."""


class JavaTarget(Target):
    """One reader of `Attack.java`.

    Args:
        reader: its name there.
    """

    group = "Java"

    def __init__(self, reader: str, about: str) -> None:
        super().__init__()
        self.reader, self.name, self.about = reader, f"java-{reader}", about
        self._machine: subprocess.Popen[bytes] | None = None
        self._classes = Path()

    def prepare(self, room: Path) -> Sequence[Tree]:
        self._classes = room / "classes"
        sources = [*(JAVA / "src/main/java/yoloproc").glob("*.java"), JAVA / "src/test/java/yoloproc/Attack.java"]
        words = ["javac", "-nowarn", "-encoding", "UTF-8", "-d", str(self._classes), *map(str, sources)]
        subprocess.run(words, check=True, capture_output=True)
        self._begin()
        return self.seed_trees(room)

    def _begin(self) -> None:
        words = ["java", MEMORY, "-XX:+UseSerialGC", "-cp", str(self._classes), "yoloproc.Attack"]
        self._machine = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def seed_trees(self, room: Path) -> list[Tree]:
        """The valid inputs."""
        if self.reader == "script":
            return [{"a.json": path.read_bytes()} for path in sorted((GOLDEN / "scredit").glob("[0-3]?_*.json"))]
        spec = {"a.json": spec_of(network()).to_json().encode()}
        return [spec] if self.reader == "model" else [spec, {"a.json": b'{"a":[1,-2.5e3,"\\u00e9",null,true,{}]}'}]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        ((path, content),) = tree.items()
        assert isinstance(content, bytes)
        damaged, note = damage_json(content, rng)
        return {path: damaged}, note

    def read(self, tree: Tree, room: Room) -> str:
        ((_, content),) = tree.items()
        assert isinstance(content, bytes)
        return self.ask(content)

    def ask(self, data: bytes) -> str:
        """What the virtual machine says.

        Raises:
            DataError: it refused.
            JavaStackError: anything else, or it is gone.
        """
        machine, name = self._machine, self.reader.encode()
        assert machine is not None
        assert machine.stdin is not None
        assert machine.stdout is not None
        machine.stdin.write(struct.pack(">i", len(name)) + name + struct.pack(">i", len(data)) + data)
        machine.stdin.flush()
        head = machine.stdout.read(4)
        if len(head) < 4:
            code = machine.wait()
            self._begin()
            raise JavaStackError(f"the virtual machine ended with {code}")
        answer = machine.stdout.read(int.from_bytes(head, "big")).decode("utf-8", "replace")
        if answer.startswith("-"):
            raise DataError(answer[1:])
        if answer != "+":
            raise JavaStackError(answer[1:])
        return ACCEPTED

    def close(self) -> None:
        if self._machine is not None:
            assert self._machine.stdin is not None
            self._machine.stdin.close()
            self._machine.kill()
            self._machine.wait()


class JavaPictureTarget(JavaTarget):
    """Pictures of the kinds that Java reads."""

    def __init__(self) -> None:
        super().__init__("picture", "Java: JPEG, PNG and BMP files")

    def seed_trees(self, room: Path) -> list[Tree]:
        names = ("jpeg", "progressive jpeg", "png", "palette png", "bmp")
        suffixes = {"jpeg": "jpg", "png": "png", "bmp": "bmp"}
        return [{f"a.{suffixes[name.split()[-1]]}": WHOLE[name]} for name in names]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        ((path, _),) = tree.items()
        inner = PictureTarget("", "", f".{path.rpartition('.')[2]}", ())
        return inner.damage(tree, rng)


class JavaVectorsTarget(JavaTarget):
    """Folders of test vectors."""

    def __init__(self) -> None:
        super().__init__("vectors", "Java: test vectors")

    def seed_trees(self, room: Path) -> list[Tree]:
        return list(VectorsTarget().prepare(room))

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        return damage_tree(tree, rng, whole=0.1)

    def read(self, tree: Tree, room: Room) -> str:
        return self.ask(str(room.put(tree)).encode())


def targets() -> list[Target]:
    """All of this module, where there is a Java to compile and run them."""
    if shutil.which("javac") is None or shutil.which("java") is None:
        return []
    return [
        JavaPictureTarget(),
        JavaTarget("model", "Java: model.json and metadata"),
        JavaTarget("json", "Java: JSON"),
        JavaTarget("script", "Java: scredit scripts"),
        JavaVectorsTarget(),
    ]
