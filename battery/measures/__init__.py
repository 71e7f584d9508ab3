"""Measures: how long the engine takes to go on after a loss, and whether all is well then.

``python -m battery.measures NAME``. Every figure has a goal; one that was reached while something
was lost, or ran twice, counts as not reached. What judges is :mod:`benchmarks.journal`.
"""
