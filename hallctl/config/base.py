"""What every part of a configuration document has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from hallctl.model import IDENTIFIER

Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER)]


class Section(BaseModel):
    """A part of a document: frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
