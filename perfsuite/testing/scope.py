"""The tenant guard for one block: every statement is judged at once, and what is not in order is collected."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured

from perfsuite.queries import tenant_guard
from perfsuite.queries.following import Ran
from perfsuite.queries.tenant_guard.guard import in_force
from perfsuite.queries.tenant_guard.install import put_on, refresh
from perfsuite.queries.tenant_guard.reports import message
from perfsuite.queries.tenant_guard.schema import Owned
from perfsuite.queries.tenant_guard.state import Collect, collecting
from perfsuite.testing.session import living


class Scope:
    """Collects what a block's statements reach without their tenant."""

    def __init__(self, always: bool) -> None:
        self._always = always
        self._before: tuple[Collect | None, bool] = (None, False)
        self._said: dict[tuple[str, str], dict[str, None]] = {}
        self.count = 0

    def begin(self) -> None:
        """Judge from now on; raises ImproperlyConfigured where nothing is declared, since no statement could fail."""
        self._before = collecting.collect, collecting.always
        collecting.collect, collecting.always = self._collect, self._always
        tenant_guard.install()
        if in_force.state is None:
            self.end()
            raise ImproperlyConfigured(
                "No table is declared to belong to tenants; name some in PERFSUITE['QUERIES']['TENANT_OWNED'], "
                'as {"shop.Lead": "tenant"}.'
            )
        for connection in living():
            put_on(connection)

    def end(self) -> None:
        """Judge as before."""
        collecting.collect, collecting.always = self._before
        refresh()

    def found_in(self, ran: Sequence[Ran]) -> tuple[list[Ran], dict[tuple[str, str], list[str]]]:
        """Return those that are not in order of what has run, and of each fingerprint and alias what is wrong with it."""
        found, said = [], {}
        for each in ran:
            # djongo's SQL stands before the commands that it became.
            sentences = self._said.get((each.shape.fingerprint.split(" → ", 1)[0], each.alias))
            if sentences is not None:
                found.append(each)
                said[each.shape.fingerprint, each.alias] = list(sentences)
        return found, said

    def _collect(self, unscoped: Sequence[Owned], fingerprint: str, alias: str, site: str) -> None:
        self.count += 1
        self._said.setdefault((fingerprint, alias), {})[message(unscoped[0], site)] = None
        if self._before[0] is not None:  # the block around this one
            self._before[0](unscoped, fingerprint, alias, site)
