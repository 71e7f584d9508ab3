"""The battery: does the engine harm while a batch runs, and lets a judge say whether it showed.

A developers' tool, not shipped: ``python -m battery``, see ``docs/battery.md``. What judges here
shares no code with the engine: it reads the machines' journals, the database at rest and the logs.
"""
