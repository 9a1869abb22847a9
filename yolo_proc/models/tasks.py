"""The tasks by name: what `--task` takes, and what a checkpoint names."""

from importlib import import_module
from typing import Any, TypeVar

from yolo_proc.config.options import nearest
from yolo_proc.config.schema import Config
from yolo_proc.config.values import config_values
from yolo_proc.errors import ConfigError
from yolo_proc.models.registry import load_installed
from yolo_proc.task import Task

TaskClass = TypeVar("TaskClass", bound=type[Any])
_BUILT_IN = {
    "detection": "yolo_proc.detection.task:DetectionTask",
    "classification": "yolo_proc.classification.task:ClassificationTask",
}
_REGISTERED: dict[str, type[Any]] = {}


def register_task(cls: TaskClass) -> TaskClass:
    """Make a task of your own known by its `name`; a decorator."""
    assert cls.name not in task_names(), f"two tasks named {cls.name}"
    _REGISTERED[cls.name] = cls
    return cls


def task_names() -> tuple[str, ...]:
    """Return the names that `--task` takes; those of installed packages have the entry points `yolo_proc.tasks`."""
    load_installed("yolo_proc.tasks")
    return (*_BUILT_IN, *_REGISTERED)


def refuse_options_of_other_tasks(config: Config) -> None:
    """Refuse an option that another task reads and the chosen one does not, unless it has its default.

    Raises:
        ConfigError: names the option; or there is no such task.
    """
    own = task_class(config.task).options
    values, plain = config_values(config), config_values(Config())
    for name in task_names():
        for option in sorted(task_class(name).options - own):
            if values[option] != plain[option]:
                raise ConfigError(
                    f"{option}: the task {config.task} does not read it, {name} does; leave it out, or take "
                    f"--task {name}"
                )


def task_class(name: str) -> type[Task]:
    """Return the task of a name.

    Raises:
        ConfigError: there is none.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        found: type[Task] = getattr(import_module(module), attribute)
        return found
    if name not in task_names():
        known = task_names()
        raise ConfigError(f"task: expected one of {', '.join(known)}, found {name!r}{nearest(name, known)}")
    return _REGISTERED[name]
