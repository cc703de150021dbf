"""The process in which somebody's file runs: it makes the network, traces it, and hands the rows over as JSON."""

import importlib.util
import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any


def main(path: str, name: str, image: str) -> None:
    """Print one JSON object on what was standard output; whatever the file prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        answer = rows(path, name, tuple(json.loads(image)))
    except BaseException as error:  # a file may also exit, or raise what is no Exception
        message = " ".join(str(error).split())
        answer = {"error": message if isinstance(error, _RefusalError) else f"{type(error).__name__}: {message}"}
    json.dump(answer, answers)
    answers.close()


class _RefusalError(ValueError):
    pass


def rows(path: str, name: str, image: tuple[int, ...]) -> dict[str, Any]:
    """The Steps of the network of this name in a file, and the parameters that none of them has read.

    Raises ValueError if the file has no such network, or if it cannot be made without arguments.
    """
    from torch import nn

    from resnet_edu.counting.trace import trace

    sys.path.insert(0, str(Path(path).resolve().parent))
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise _RefusalError("this is no file of Python: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    thing = getattr(module, name, None)
    if thing is None:
        networks = [n for n, v in vars(module).items() if inspect.isclass(v) and issubclass(v, nn.Module)]
        raise _RefusalError(f"there is no {name} in it; it has {', '.join(networks) or 'no network'}")
    if not isinstance(thing, nn.Module):
        if not callable(thing):
            raise _RefusalError(f"{name} is a {type(thing).__name__}: expected a network, or what makes one")
        try:
            inspect.signature(thing).bind()
        except TypeError as error:
            raise _RefusalError(
                f"{name} cannot be made without arguments ({error}): add a function that makes it, such as "
                f"`def net(): return {name}(…)`, and name that one: {path}:net"
            ) from None
        thing = thing()
    if not isinstance(thing, nn.Module):
        raise _RefusalError(f"{name} makes a {type(thing).__name__}: expected an nn.Module")
    steps = trace(thing, image)
    return {"steps": steps, "unread": steps.unread}


if __name__ == "__main__":
    main(*sys.argv[1:])
