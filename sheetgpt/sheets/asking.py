"""What several twins of a state share is found once: `state.ask(find)`."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, Self, TypeVar

Found = TypeVar("Found")


class Asking:
    """A state that can be asked."""

    def ask(self, find: Callable[[Self], Found]) -> Found:
        """What a function finds out about this state; asked again, it isn't computed again."""
        if find not in self._found:
            self._found[find] = find(self)
        found: Found = self._found[find]
        return found

    @cached_property
    def _found(self) -> dict[Any, Any]:
        return {}
