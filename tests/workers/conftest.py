"""The receiving side over the same house as the engine's tests."""

from tests.engine.conftest import house

__all__ = ["house"]
