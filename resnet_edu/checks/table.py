"""A table of what the checks recognize, computed by making every known mistake and asking for its name."""


class MistakesTable:
    """Contract, known mistakes, and how many of them are named correctly."""


def mistakes_table() -> MistakesTable:
    """Run the catalogue."""
    return MistakesTable()
