"""What djongo must be asked in another way than the other databases: here both ways stand side by side, and nowhere else.

djongo turns the SQL that Django writes into MongoDB's commands, and not all of it: see sampleproject/README.md.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate

from sampleproject.portal.models import Lead

IS_DJONGO = settings.DB == "djongo"
# djongo cannot read the SQL of a condition that is a boolean column alone.
FILTERS_ON_BOOLEANS: tuple[str, ...] = () if IS_DJONGO else ("is_staff", "is_active")
SPECIAL_IN_REGEX = re.compile(r"[.$*+?{|()\[]")


def contains(column: str, words: str) -> Q:
    """Return the condition "`column` contains `words`, in any case"."""
    if IS_DJONGO:  # its LIKE is a regular expression, of which Django escapes only what is special in SQL
        words = SPECIAL_IN_REGEX.sub(r"[\g<0>]", words)
        words = words.replace("%", ".").replace("^", ".")  # no spelling of these survives both: any character
    return Q(**{f"{column}__icontains": words})


def counts_per_day(leads: QuerySet[Lead]) -> list[dict[str, Any]]:
    """Return the number of `leads` for each day and status that has some."""
    if IS_DJONGO:  # it knows no TruncDate, so each lead is read
        days = Counter((when.date(), status) for when, status in leads.values_list("created_at", "status"))
        return [{"day": day, "status": status, "leads": days[day, status]} for day, status in sorted(days)]
    rows = leads.order_by().annotate(day=TruncDate("created_at")).values("day", "status")
    return list(rows.annotate(leads=Count("id")).order_by("day", "status"))
