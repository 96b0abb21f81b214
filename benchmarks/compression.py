"""What compressing costs and saves: CompressionMiddleware beside Django's GZipMiddleware, interleaved, over a bare handler.

Each variant answers the same request in turn, sync and async; a time is the median over rounds of the batches' medians, less
that of the bare handler. ``passed on`` is a client that decodes nothing, ``stored`` a body that a cache had compressed before.

    python benchmarks/compression.py [--rounds 30]
    python benchmarks/compression.py --levels     # each level of each coding alone, and what an open stream holds
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common

SIZES = (2_000, 20_000, 200_000)
BATCH = 20
NAMES = ("gzip", "br", "zstd")


def body_of(size: int) -> bytes:
    """Return JSON as an API answers with: names, addresses, amounts, times."""
    chance = random.Random(size)
    words = [
        "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(400)
    ]
    rows: list[dict[str, Any]] = []
    length = 2
    while length < size:
        row = {
            "id": 10_000 + len(rows),
            "name": " ".join(chance.choices(words, k=2)).title(),
            "email": f"{chance.choice(words)}@example.com",
            "status": chance.choice(["new", "contacted", "qualified", "lost"]),
            "amount": f"{chance.randint(100, 99_999)}.00",
            "created_at": f"2026-11-{chance.randint(1, 28):02d}T{chance.randint(0, 23):02d}:15:00Z",
        }
        rows.append(row)
        length += len(json.dumps(row)) + 2
    return json.dumps(rows).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--levels", action="store_true")
    parser.add_argument("--holds", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.holds:
        print(held_by_streams(options.holds))
        return
    print(common.machine())
    print(
        f"python {Path(__file__).parent.name}/{Path(__file__).name} {' '.join(sys.argv[1:])}".rstrip() + "\n"
    )
    common.configure(
        {"ENGINE": common.SQLITE, "NAME": ":memory:"}, apps=["perfsuite.metrics", "perfsuite.responses"]
    )
    from perfsuite.metrics.recorder import recorder

    recorder.on_first = None  # nothing is flushed while something is measured
    if options.levels:
        levels()
        streams()
        return
    for title, measure in (("sync", sync_times), ("async", async_times)):
        compare(title, measure, options.rounds)


Ask = Callable[[Any], Any]


def variants(body: bytes, is_async: bool) -> dict[str, tuple[Ask, str]]:
    """Return each handler to compare by its name, with the Accept-Encoding that it is asked with."""
    from django.http import HttpResponse
    from django.middleware.gzip import GZipMiddleware

    from perfsuite.responses import CompressionMiddleware, encoding, marks

    def view(request: Any) -> HttpResponse:
        return HttpResponse(body, content_type="application/json")

    async def async_view(request: Any) -> HttpResponse:
        return HttpResponse(body, content_type="application/json")

    plain = {"content-type": "application/json", "cache-control": "public"}
    made = encoding.encoded(body, plain.get, encoding.coding_for("zstd"))
    assert made is not None

    def stored(request: Any) -> HttpResponse:
        encoding.coding_for(request.META.get("HTTP_ACCEPT_ENCODING"))
        response = HttpResponse(made.body, content_type="application/json")
        for name, value in made.fields.items():
            if value is not None:
                response[name] = value
        marks.mark(response, compress=False)
        encoding.record_sent(made.coding, len(body), len(made.body))
        return response

    async def async_stored(request: Any) -> HttpResponse:
        return stored(request)

    inner: Any = async_view if is_async else view
    ours = CompressionMiddleware(inner)
    found: dict[str, tuple[Ask, str]] = {
        "bare": (inner, ""),
        "bare again": (inner, ""),
        "GZipMiddleware": (GZipMiddleware(inner), "gzip, deflate"),
    }
    found.update({f"ours, {name}": (ours, name) for name in NAMES})
    found["GZipMiddleware, passed on"] = (GZipMiddleware(inner), "")
    found["ours, passed on"] = (ours, "")
    found["ours, stored"] = (CompressionMiddleware(async_stored if is_async else stored), "zstd")
    return found


def request_with(accept: str) -> Any:
    from django.test import RequestFactory

    return RequestFactory(HTTP_ACCEPT_ENCODING=accept).get("/") if accept else RequestFactory().get("/")


def sync_times(ask: Ask, accept: str) -> float:
    request, taken = request_with(accept), []
    for _ in range(BATCH):
        started = time.perf_counter()
        ask(request)
        taken.append(time.perf_counter() - started)
    return common.median(taken) * 1e6


def async_times(ask: Ask, accept: str) -> float:
    async def run() -> float:
        request, taken = request_with(accept), []
        for _ in range(BATCH):
            started = time.perf_counter()
            await ask(request)
            taken.append(time.perf_counter() - started)
        return common.median(taken) * 1e6

    return LOOP.run_until_complete(run())


LOOP = asyncio.new_event_loop()


def compare(title: str, measure: Callable[[Ask, str], float], rounds: int) -> None:
    rows: list[list[str]] = []
    by_size = {size: variants(body_of(size), title == "async") for size in SIZES}
    sent = {size: {name: length_of(*found, title) for name, found in by_size[size].items()} for size in SIZES}
    times: dict[int, dict[str, list[float]]] = {size: {name: [] for name in by_size[size]} for size in SIZES}
    for _ in range(rounds):
        for size in SIZES:
            for name, (ask, accept) in by_size[size].items():
                times[size][name].append(measure(ask, accept))
    for name in by_size[SIZES[0]]:
        row = [name]
        for size in SIZES:
            over = [ours - bare for ours, bare in zip(times[size][name], times[size]["bare"], strict=True)]
            gzip = [
                theirs - bare
                for theirs, bare in zip(times[size]["GZipMiddleware"], times[size]["bare"], strict=True)
            ]
            share = sent[size][name] / len(body_of(size))
            against = common.median([a / b for a, b in zip(over, gzip, strict=True) if b])
            row += [f"{common.median(over):.0f}", f"{against:.2f}", f"{100 * share:.1f} %"]
        rows.append(row)
    head = [title] + [cell for size in SIZES for cell in (f"{size // 1000} KB, µs", "x GZip", "sent")]
    common.print_table(head, rows)
    print()


def length_of(ask: Ask, accept: str, title: str) -> float:
    """Return how many bytes are sent, on average, since the padding varies."""

    def once() -> int:
        answer = ask(request_with(accept))
        response = LOOP.run_until_complete(answer) if title == "async" else answer
        return len(response.content)

    return sum(once() for _ in range(30)) / 30


def levels() -> None:
    from perfsuite.responses import codings

    rows = []
    sizes = (*SIZES, 1_000_000)
    wanted = {"gzip": (1, 4, 6, 9), "br": (1, 4, 5, 6, 11), "zstd": (1, 3, 6, 9, 19)}
    for name in NAMES:
        coding = codings.coding(name)
        assert coding is not None
        for level in wanted[name]:
            row = [f"{name} {level}"]
            for size in sizes:
                body = body_of(size)
                if level > 10 and size > 20_000:
                    row += ["", ""]
                    continue
                taken = []
                for _ in range(5):
                    started = time.perf_counter()
                    made = coding.encode(body, level, 0)
                    taken.append(time.perf_counter() - started)
                row += [f"{min(taken) * 1e6:.0f}", f"{100 * len(made) / len(body):.1f} %"]
            rows.append(row)
    common.print_table(
        ["level"] + [cell for size in sizes for cell in (f"{size // 1000} KB, µs", "of it")], rows
    )
    print()


def streams() -> None:
    """Print what an open stream of server-sent events holds; each coding in a process of its own, whose memory is new."""
    rows = []
    for name in NAMES:
        done = subprocess.run(
            [sys.executable, __file__, "--holds", name], capture_output=True, text=True, check=True
        )
        held, share = map(float, done.stdout.split())
        rows.append([name, f"{held / 1024:.0f}", f"{100 * share:.1f} %"])
    common.print_table(["an open stream, events of 80 bytes", "holds KiB", "sent"], rows)


def held_by_streams(name: str) -> str:
    """Return the bytes that each of 200 streams holds after 100 events, and the share of them that is sent."""
    common.configure(
        {"ENGINE": common.SQLITE, "NAME": ":memory:"}, apps=["perfsuite.metrics", "perfsuite.responses"]
    )
    from perfsuite.responses import codings, encoding

    coding = codings.coding(name)
    assert coding is not None
    row = b'id: %d\nevent: lead\ndata: {"lead": %d, "name": "Lead %d", "status": "new"}\n\n'
    events = [row % (n, n * 7919 % 10_007, n * 31 % 977) for n in range(100)]
    coding.stream(1, 0).feed(b"x", True)
    before, held, sent = resident(), [], 0
    for _ in range(200):
        stream = coding.stream(encoding.level_for(name, 0), 50)
        sent += sum(len(stream.feed(event, True)) for event in events)
        held.append(stream)
    return f"{(resident() - before) / len(held)} {sent / len(held) / sum(map(len, events))}"


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


if __name__ == "__main__":
    main()
