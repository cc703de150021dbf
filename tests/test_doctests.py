"""Every example in a docstring runs, and everything public has one."""

import doctest
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import resnet_edu
from resnet_edu import checks, counting, drawing, training

HOUSE = Path(resnet_edu.__file__).parent
# Whose rooms readers open by name; the checks and explorers show a face.
FLOORS = (resnet_edu, counting, drawing, training)
MODULES = sorted(
    ".".join(("resnet_edu", *path.relative_to(HOUSE).with_suffix("").parts)).removesuffix(".__init__")
    for path in HOUSE.rglob("*.py")
    if path.name != "__main__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def public(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Functions and classes that are defined in this module under a name without underscore."""
    for name, thing in vars(module).items():
        is_defined = inspect.isfunction(thing) or inspect.isclass(thing)
        if is_defined and not name.startswith("_") and thing.__module__ == module.__name__:
            yield name, thing


def needs_example(module: ModuleType, name: str, thing: object) -> bool:
    """Whether readers meet it: in a room, unless its ``__all__`` leaves it out, or by name in ``resnet_edu.checks``."""
    package = importlib.import_module(module.__name__.rpartition(".")[0])
    if package in FLOORS:
        is_met = name in getattr(module, "__all__", [name])
    else:
        is_met = package is checks and name in checks.__all__ and getattr(checks, name) is thing
    return is_met and not (inspect.isclass(thing) and issubclass(thing, BaseException))


@pytest.mark.parametrize("name", [name for name in MODULES if name != "resnet_edu"])
def test_everything_public_says_what_it_does_and_shows_it(name):
    module = importlib.import_module(name)
    assert inspect.getdoc(module), f"{name} does not say what it is"
    missing = []
    for title, thing in public(module):
        if not thing.__doc__:
            missing.append(f"{title}: no docstring")
        elif ">>>" not in thing.__doc__ and needs_example(module, title, thing):
            missing.append(f"{title}: no example")
        if inspect.isclass(thing):
            methods = [
                m for m, value in vars(thing).items() if inspect.isfunction(value) or isinstance(value, property)
            ]
            # What overrides a documented method, such as forward, is documented by it.
            missing += [
                f"{title}.{method}: no docstring"
                for method in methods
                if not method.startswith("_") and not inspect.getdoc(getattr(thing, method))
            ]
    assert not missing, f"{name}: {'; '.join(missing)}"
