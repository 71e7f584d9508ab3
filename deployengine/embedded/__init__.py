"""What one machine needs to start: a Redis of its own and a master key, both in the home."""
