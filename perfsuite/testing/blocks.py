"""The three assertions as context managers. A block that raises fails with what it raised, and with nothing else.

Django is imported when the first block begins: pytest imports this module in projects that have none.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfsuite.queries.following import Ran

# From so many repetitions on: the rows of a test are few.
TIMES = 2


class _Block:
    """What follows the statements of a block, and judges them at its end."""

    def __init__(self) -> None:
        self._session: Any = None
        self._ran: list[Ran] = []

    def __enter__(self) -> Any:
        from perfsuite.testing.session import Session

        if self._session is not None:
            raise RuntimeError(f"{type(self).__name__}() is in use; make another for the block inside.")
        self._session = Session()
        self._session.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True  # pytest's: the test's own line is what is wrong
        session, self._session = self._session, None
        self._ran = session.end()
        if exc is None:
            session.check()
            self._judge()

    def _judge(self) -> None:
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many statements ran, once the block is over."""
        return len(self._ran)

    @property
    def ms(self) -> float:
        """How many milliseconds they took together, once the block is over."""
        return sum(each.seconds for each in self._ran) * 1e3

    def _fail(self, headline: str, times: int = TIMES) -> None:
        from perfsuite.testing.report import report

        __tracebackhide__ = True
        raise AssertionError(report(headline, self._ran, times))


class query_budget(_Block):  # noqa: N801 - used like a function
    """Fail if more than ``max`` statements run in the block, or if they take more than ``max_ms`` milliseconds together.

    Statements of SQL on every alias, and MongoDB's commands; what keeps transactions is not counted.
    """

    def __init__(self, *, max: int | None = None, max_ms: float | None = None) -> None:  # noqa: A002 - reads as it is meant
        super().__init__()
        if max is None and max_ms is None:
            raise TypeError("A budget is missing; write query_budget(max=3) or query_budget(max_ms=50).")
        _refuse_unless("max", max, int)
        _refuse_unless("max_ms", max_ms, (int, float))
        self.max, self.max_ms = max, max_ms

    def _judge(self) -> None:
        __tracebackhide__ = True
        if self.max is not None and self.count > self.max:
            self._fail(f"{_statements(self.count)} ran, and the budget is {self.max}.")
        if self.max_ms is not None and self.ms > self.max_ms:
            self._fail(
                f"{_statements(self.count)} took {self.ms:.1f} ms, and the budget is {self.max_ms:g} ms."
            )


class assert_no_repeats(_Block):  # noqa: N801 - used like a function
    """Fail if one line asks for row after row (N+1), or if the same is read again with the same parameters.

    ``times`` is from how many on. Each request of the test's client is looked at by itself, and so is what the test does besides.
    """

    def __init__(self, *, times: int = TIMES) -> None:
        super().__init__()
        if type(times) is not int or times < 2:
            raise TypeError(f"times is a whole number from 2 on, not {times!r}; write times=3.")
        self.times = times

    def _judge(self) -> None:
        from perfsuite.testing.report import repeats_of

        __tracebackhide__ = True
        repeats = repeats_of(self._ran, self.times)
        if repeats:
            many = "One statement is" if len(repeats) == 1 else f"{len(repeats)} statements are"
            self._fail(f"{many} repeated.", self.times)


class assert_tenant_scoped(_Block):  # noqa: N801 - used like a function
    """Fail if a statement reaches a table that belongs to tenants without saying which tenant's rows it means.

    All statements run; each is judged as the tenant guard does, whatever its mode. With ``always=False`` only while a tenant is
    current, as on a site without ``TENANT_GUARD_ALWAYS``.
    """

    def __init__(self, *, always: bool = True) -> None:
        super().__init__()
        self.always = always
        self._scope: Any = None

    def __enter__(self) -> Any:
        from perfsuite.testing.scope import Scope

        super().__enter__()
        self._scope = Scope(self.always)
        try:
            self._scope.begin()
        except BaseException:
            self._session.end()
            self._session = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._scope.end()
        super().__exit__(kind, exc, tb)

    def _judge(self) -> None:
        from perfsuite.testing.report import report

        __tracebackhide__ = True
        count = self._scope.count
        if count:
            many = "One statement reaches" if count == 1 else f"{count} statements reach"
            ran, said = self._scope.found_in(self._ran)
            raise AssertionError(
                report(f"{many} the rows of tenants without their tenant.", ran, TIMES, said)
            )


def _statements(count: int) -> str:
    return "1 statement" if count == 1 else f"{count} statements"


def _refuse_unless(name: str, value: object, kinds: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or value < 0):
        raise TypeError(f"{name} is a number from 0 on, not {value!r}; write query_budget({name}=3).")
