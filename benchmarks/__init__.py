"""Measurements, and the judge that says whether a measured run was lawful at all."""
