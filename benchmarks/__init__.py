"""What the book promises about speed, measured: ``make bench`` or ``python -m benchmarks``.

Each figure is the median of a ratio of processor seconds; the two sides take turns in one run, each on one thread,
so that whatever else the machine does changes little. A figure that misses its target is printed as short and fails
nothing: a busy machine is no broken program. A new module in this folder with a function ``rows() -> Iterable[Row]``
joins the table.
"""
