"""The faults, a module for each noun that they are done to.

A fault is drawn from seeded dice, injected, and lifted after a while. Two faults never touch the
same thing at the same time.
"""
