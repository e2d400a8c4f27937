"""What every part of the topology language is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the file: unknown keys are mistakes, and so is a text where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
