"""usd-core ships no annotations, and its modules are compiled: for pyright everything in it is Any."""

from typing import Any

def __getattr__(name: str) -> Any: ...
