"""The generations of a vault's data key: what is sealed now, and what was sealed before."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DataKey:
    """One generation: 32 random bytes, and the number that everything begins with that is sealed by them."""

    number: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataKeys:
    """Every generation that a vault has, the newest first; never none.

    What is written is sealed by the newest. Older ones stay as long as the
    vault, for what they sealed still opens by them.
    """

    generations: tuple[DataKey, ...]

    @property
    def newest(self) -> DataKey:
        return self.generations[0]

    @property
    def first(self) -> DataKey:
        """What rows are found by is marked by this one for ever: a mark that changed would find nothing."""
        return self.generations[-1]
