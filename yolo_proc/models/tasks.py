"""The tasks by name: what `--task` takes, and what a checkpoint names."""

from importlib import import_module
from typing import Any, TypeVar

from yolo_proc.config.options import nearest
from yolo_proc.config.schema import Config
from yolo_proc.config.values import config_values
from yolo_proc.errors import OptionError
from yolo_proc.models.registry import SHAPING, find_backbone, load_installed, require_strides
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


def check_task(config: Config) -> None:
    """Refuse a task, a network or an option that does not fit the others. It takes no scenes.

    Raises:
        ConfigError: see above.
    """
    entry = find_backbone(config.model)
    _refuse_options_of_other_tasks(config)
    require_strides(entry, task_class(config.task).check_config(config))


def _refuse_options_of_other_tasks(config: Config) -> None:
    """Refuse an option that another task reads and the chosen one does not, unless it has its default."""
    values, plain = config_values(config), config_values(Config())
    for option, name in _options_of_other_tasks(config).items():
        if values[option] != plain[option]:
            raise OptionError(
                option, f"the task {config.task} does not read it, {name} does; leave it out, or take --task {name}"
            )


def unread_options(config: Config) -> frozenset[str]:
    """Return the flat names of options that neither the task nor the network of a configuration reads."""
    fixed = set(SHAPING) - set(find_backbone(config.model).options)
    return frozenset(_options_of_other_tasks(config)) | {f"model.{name.replace('_', '-')}" for name in fixed}


def _options_of_other_tasks(config: Config) -> dict[str, str]:
    """Return the flat names of options that only other tasks read, each with the name of such a task."""
    own = task_class(config.task).options
    return {option: name for name in task_names() for option in sorted(task_class(name).options - own)}


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
        raise OptionError("task", f"expected one of {', '.join(known)}, found {name!r}{nearest(name, known)}")
    return _REGISTERED[name]
