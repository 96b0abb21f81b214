"""Samples of which columns are used: what is patched for them, for how long, and that nothing of the host's changes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings

from perfsuite.metrics.sightings import Sighting
from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.queries import loading
from perfsuite.queries.limits import limits
from tests.queries.corpus_rows.models import Article, Topic
from tests.recorded import Recorded

pytestmark = [pytest.mark.by_store, pytest.mark.django_db]
OPTIONS = {"WIDE_ROWS": 20, "WIDE_ROWS_SAMPLE": 1}


@pytest.fixture(autouse=True)
def options() -> Iterator[None]:
    with override_settings(PERFSUITE={"QUERIES": OPTIONS}):
        yield
    assert not is_patched()
    loading.uninstall()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Sighting]:
    found: list[Sighting] = []
    monkeypatch.setattr(loading, "sight", found.append)
    return found


def is_patched() -> bool:
    return "__getattribute__" in vars(Model) or hasattr(vars(Model)["from_db"].__func__, "__wrapped__")


def fill() -> None:
    topic = Topic.objects.create(name="topic")
    Article.objects.bulk_create([Article(topic=topic, number=n, title=str(n)) for n in range(30)])


def serve(work: Callable[[], object]) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        work()
        return HttpResponse()

    RequestMetricsMiddleware(view)(RequestFactory().get("/"))


def titles() -> list[str]:
    return [article.title for article in Article.objects.all()[:25]]


def judged(seen: list[Sighting]) -> list[str]:
    gc.collect()
    list(loading.judge_waiting())
    return [each.evidence["model"] for each in seen]


def test_a_finding_says_what_is_used_and_what_is_not(seen: list[Sighting], recorded: Recorded) -> None:
    fill()
    serve(titles)
    assert judged(seen) == ["corpus_rows.Article"]
    (found,) = seen
    assert found.evidence["used"] == ["id", "title"]
    assert set(found.evidence["unused"]) == {field.attname for field in Article._meta.concrete_fields} - {
        "id",
        "title",
    }
    assert (found.evidence["rows"], found.evidence["columns"]) == (25, 12)
    assert found.evidence["advice"] == 'only("title")'
    assert found.site.endswith("in titles")
    assert found.alias == "default"
    assert found.saving_us > 0


def test_only_while_a_sampled_request_runs_anything_is_patched(seen: list[Sighting]) -> None:
    fill()
    during: list[bool] = []

    def work() -> None:
        during.append(is_patched())
        titles()
        during.append(is_patched())

    before = vars(Model)["from_db"]
    serve(work)
    assert during == [False, True]
    assert vars(Model)["from_db"] is before
    with override_settings(PERFSUITE={"QUERIES": {**OPTIONS, "WIDE_ROWS_SAMPLE": 0}}):
        serve(work)
    assert during[2:] == [False, False]
    with pytest.raises(LookupError):
        serve(lambda: [titles(), {}["x"]])
    assert not is_patched()


def test_one_in_so_many_is_sampled_and_with_debug_every_one() -> None:
    options = {"QUERIES": {**OPTIONS, "WIDE_ROWS_SAMPLE": 5}}
    sampled: list[bool] = []

    def work() -> None:
        Topic.objects.exists()
        sampled.append(is_patched())

    with override_settings(PERFSUITE=options):
        for _ in range(20):
            serve(work)
    assert sum(sampled) == 4
    with override_settings(DEBUG=True, PERFSUITE=options):
        serve(work)
        assert limits.sample_every == 1
    assert sampled[-1]


def test_instances_behave_as_they_do_without_it(seen: list[Sighting]) -> None:
    fill()

    def work() -> None:
        titles()
        article = Article.objects.defer("body").select_related("topic")[0]
        assert article.body == ""  # is loaded now
        assert article.topic.name == "topic"
        assert not hasattr(article, "nothing")
        with pytest.raises(AttributeError, match="'Article' object has no attribute 'nothing'"):
            article.nothing  # type: ignore[attr-defined]  # noqa: B018
        article.title = "changed"
        article.extra = 1  # type: ignore[attr-defined]
        del article.extra  # type: ignore[attr-defined]
        article.save()
        article.refresh_from_db()
        assert (article.title, str(article)) == ("changed", "changed")
        assert Article.objects.get(pk=article.pk) == article
        assert type(article) is Article
        assert article.__class__ is Article

    serve(work)


class Mixin:
    """A host's class behind ``Model``, with a way of its own to read attributes."""

    def __getattribute__(self, name: str) -> Any:
        if name == "title":
            return "of the mixin"
        return super().__getattribute__(name)


class Proxy(Article, Mixin):
    class Meta:
        proxy = True
        app_label = "corpus_rows"


def test_a_class_that_reads_attributes_in_its_own_way_goes_on_doing_so_and_is_not_judged(
    seen: list[Sighting],
) -> None:
    fill()
    read: list[str] = []
    serve(lambda: read.extend(article.title for article in Proxy.objects.all()[:25]))
    assert read == ["of the mixin"] * 25
    assert judged(seen) == []


def test_what_a_stream_reads_counts_for_its_request(seen: list[Sighting]) -> None:
    fill()

    def view(request: HttpRequest) -> StreamingHttpResponse:
        rows = list(Article.objects.all()[:25])

        def body() -> Iterator[str]:
            for article in rows:
                yield "".join(str(getattr(article, field.attname)) for field in Article._meta.concrete_fields)

        return StreamingHttpResponse(body())

    response = RequestMetricsMiddleware(view)(RequestFactory().get("/"))
    b"".join(response)  # type: ignore[arg-type]
    response.close()  # type: ignore[union-attr]
    assert judged(seen) == []


def test_requests_at_the_same_time_are_told_apart(seen: list[Sighting]) -> None:
    fill()

    async def work(request: HttpRequest) -> HttpResponse:
        rows = await sync_to_async(lambda: list(Article.objects.all()[:25]))()
        await asyncio.sleep(0)
        if "all" in request.GET:
            [getattr(row, field.attname) for row in rows for field in Article._meta.concrete_fields]
        else:
            [row.title for row in rows]
        return HttpResponse()

    async def both() -> None:
        middleware: Any = RequestMetricsMiddleware(work)
        await asyncio.gather(
            *(middleware(RequestFactory().get("/", query)) for query in ({"all": "1"}, {}, {}))
        )

    # In the thread of the test's connection, whose rows are not committed.
    from asgiref.sync import async_to_sync

    async_to_sync(both)()
    assert judged(seen) == ["corpus_rows.Article"] * 2


def test_a_request_that_loads_very_much_is_given_up(
    seen: list[Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill()
    monkeypatch.setattr(loading, "MAX_INSTANCES", 24)
    serve(titles)
    assert judged(seen) == []


def test_a_request_that_never_ends_is_sampled_no_longer_than_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from perfsuite.metrics.request import Tally

    endless = Tally()
    loading.begin(endless)
    assert is_patched()
    monkeypatch.setattr(loading, "MAX_SAMPLE_S", -1.0)
    serve(titles)
    assert not is_patched()
    assert endless.notes.loaded.given_up


def test_hooks_that_throw_leave_rows_and_attributes_alone(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("broken")

    fill()
    read: list[list[str]] = []
    hooks = (
        (loading.Loaded, "loaded"),
        (loading.Loaded, "read"),
        (loading, "notes_of"),
        (loading, "sightings"),
    )
    for owner, name in (*hooks, (loading, "_in_hand")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            serve(lambda: read.append(titles()))
            list(loading.judge_waiting())
        assert loading.guard.failures > 0
        loading.guard.reset()
    assert [len(each) for each in read] == [25] * 5
