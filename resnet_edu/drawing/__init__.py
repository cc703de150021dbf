"""Everything drawn, from the same Steps: tables, diagrams, volumes, plots."""
