"""Runs the cells of all pages that changed before Sphinx reads the first of them, one page on each core.

_config.yml loads it (`sphinx: local_extensions`). Each page has a kernel of its own and one thread, so the numbers
do not depend on how many cores there are. What a page printed waits in Jupyter's cache until MyST-NB reads that page;
a page that failed is run by MyST-NB again, which says where and why.

Why not Sphinx's own `-j`: it deals pages out in runs of neighbors, and the pages that train stand side by side.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jupyter_cache import get_cache
from myst_nb.core.execute import create_client
from myst_nb.core.read import create_nb_reader
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
#: A page may need 2 GB.
AT_ONCE = 4


def execute(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Run the cells of these pages, as far as Jupyter's cache does not hold what they print."""
    # For the kernels. A machine's own choice stays; MKL follows it too.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if env.mystnb_config.execution_mode != "cache":
        return
    _ = get_cache(env.mystnb_config.execution_cache_path).db  # made once, before several ask for it
    paths = [path for name in docnames if (path := Path(env.doc2path(name))).suffix == ".md"]
    # The longest ones first would be best; the next best is the order of the book, which trains early.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, AT_ONCE)) as pool:
        list(pool.map(lambda path: _execute(path, env), paths))


def _execute(path: Path, env: BuildEnvironment) -> None:
    text = path.read_text(encoding="utf-8")
    reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
    if reader is not None:
        # Nothing is said here of a failure: MyST-NB meets it again when it reads the page.
        with create_client(reader.read(text), str(path), env.mystnb_config, _Quiet(path), reader.read_fmt):
            pass


class _Quiet:
    """MyST-NB's messages without its document, which is not yet there: only how long a page took."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def info(self, message: str, **_: object) -> None:
        if message.startswith("Executed"):
            LOGGER.info("%s: %s", self.path.name, message)

    def warning(self, message: str, **_: object) -> None:
        LOGGER.info("%s: its cells failed", self.path.name)

    debug = info


def setup(app: Sphinx) -> dict:
    # After the glossary and the questions are read: a page's words are not its cells, but their mistakes come first.
    app.connect("env-before-read-docs", execute, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
