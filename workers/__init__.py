"""Celery, receiving side: ids in, one engine call each."""
