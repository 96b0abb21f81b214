"""Which indexes are missing: from the statements that were recorded, with what each costs a day and why it would help."""

from __future__ import annotations

from perfsuite.indexes.suggesting.recorded import suggestions
from perfsuite.indexes.suggesting.suggestion import Evidence, Suggestion

__all__ = ["Evidence", "Suggestion", "suggestions"]
