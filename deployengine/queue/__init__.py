"""Celery, sending side: task names, chains of ids, and the dispatcher the engine speaks to."""
