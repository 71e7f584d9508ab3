"""Alembic's scripts, one folder of revisions."""
