"""The codings: what they make can be read by every decoder, in one go and flush by flush, padded or not."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import brotli
import brotlicffi
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses import codings
from perfsuite.responses.codings import Brotli, Coding, Gzip, StandardZstd, Zstandard
from tests.responses.decoding import decoder_of, standard_zstd

TEXT = b"".join(b"<li><a href='/leads/%d/'>Lead %d</a></li>\n" % (n, n * 7919) for n in range(400))
NOISE = bytes((n * n * 31 + n // 7) % 256 for n in range(5_000))

CODINGS: dict[str, Coding] = {
    "gzip": Gzip(),
    "brotli": Brotli(brotli),
    "brotlicffi": Brotli(brotlicffi),
    "zstandard": Zstandard(zstandard),
    "standard zstd": StandardZstd(standard_zstd),
}
DECODERS: dict[str, list[Callable[[bytes], bytes]]] = {
    "gzip": [gzip.decompress, lambda data: zlib.decompressobj(47).decompress(data)],
    "br": [brotli.decompress, brotlicffi.decompress],
    "zstd": [
        lambda data: zstandard.ZstdDecompressor().decompress(data),
        lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        standard_zstd.decompress,
    ],
}
each_coding = pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS.keys())


@each_coding
@pytest.mark.parametrize("body", [b"", b"x", TEXT, NOISE, b"a" * 300_000], ids=len)
@pytest.mark.parametrize("padding", [0, 1, 2, 3, 4, 50, 99, 255, 256, 1_000])
def test_every_decoder_reads_what_is_made_of_a_body(coding: Coding, body: bytes, padding: int) -> None:
    made = coding.encode(body, 3, padding)

    assert [decode(made) for decode in DECODERS[coding.name]] == [body] * len(DECODERS[coding.name])


@each_coding
def test_a_page_becomes_much_smaller(coding: Coding) -> None:
    assert len(coding.encode(TEXT, 3, 0)) < 0.25 * len(TEXT)


@each_coding
def test_padding_adds_about_as_many_bytes_as_it_says(coding: Coding) -> None:
    bare = len(coding.encode(TEXT, 3, 0))
    lengths = [len(coding.encode(TEXT, 3, padding)) - bare for padding in range(1, 100)]

    assert lengths == sorted(lengths)
    assert all(abs(length - padding) <= 4 for padding, length in enumerate(lengths, 1))
    assert len(set(lengths)) >= 33  # zstd pads in steps of three


@each_coding
def test_without_padding_the_same_body_gives_the_same_bytes(coding: Coding) -> None:
    assert len({coding.encode(TEXT, 3, 0) for _ in range(5)}) == 1


@each_coding
@pytest.mark.parametrize("padding", [0, 60])
def test_what_was_flushed_can_be_read_before_the_next_is_made(coding: Coding, padding: int) -> None:
    stream, read = coding.stream(3, padding), decoder_of(coding.name)
    for n in range(50):
        event = b"data: event %d\n\n" % n
        assert read(stream.feed(event, flush=True)) == event
    assert read(stream.finish()) == b""


@each_coding
@pytest.mark.parametrize("padding", [0, 60])
@pytest.mark.parametrize("flush", [True, False])
def test_a_stream_is_one_whole_body(coding: Coding, padding: int, flush: bool) -> None:
    chunks = [TEXT, b"", b"x", NOISE, b"a" * 200_000]
    stream = coding.stream(3, padding)
    made = b"".join([*(stream.feed(chunk, flush) for chunk in chunks), stream.finish()])

    for decode in DECODERS[coding.name][:1] if coding.name != "zstd" else [standard_zstd.decompress]:
        assert decode(made) == b"".join(chunks)
    assert coding.stream(3, 0).finish()  # an empty one, too


@each_coding
def test_an_empty_stream_is_an_empty_body(coding: Coding) -> None:
    for padding in (0, 60):
        assert decoder_of(coding.name)(coding.stream(3, padding).finish()) == b""


@given(
    st.sampled_from(sorted(CODINGS)),
    st.lists(st.tuples(st.binary(max_size=200) | st.just(b"ab" * 3_000), st.booleans()), max_size=8),
    st.integers(0, 256),
)
def test_whatever_is_fed_comes_out_again(name: str, chunks: list[tuple[bytes, bool]], padding: int) -> None:
    coding = CODINGS[name]
    stream, read = coding.stream(4, padding), decoder_of(coding.name)
    seen = b""
    for n, (chunk, flush) in enumerate(chunks):
        seen += read(stream.feed(chunk, flush))
        if flush:
            assert seen == b"".join(part for part, _ in chunks[: n + 1])
    assert seen + read(stream.finish()) == b"".join(part for part, _ in chunks)


@each_coding
def test_threads_do_not_disturb_each_other(coding: Coding) -> None:
    wrong: list[int] = []
    decode = DECODERS[coding.name][0]

    def work(seed: int) -> None:
        for n in range(30):
            body = b"%d," % (seed * n) * (200 + 300 * (n % 3))
            if decode(coding.encode(body, 1 + n % 3, n)) != body:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_window_of_a_stream_is_small() -> None:
    """A decoder need not, and an open stream does not, hold more than 64 KiB of what was before."""
    for name in ("zstandard", "standard zstd"):
        head = CODINGS[name].stream(3, 0).feed(b"x", flush=True)
        assert zstandard.get_frame_parameters(head).window_size == 1 << codings.STREAM_WINDOW


# Which there are.


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that takes libraries away."""
    codings.look_again()

    def take_away(*modules: str) -> None:
        def imported(name: str) -> Any:
            if name in modules:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return import_module(name)

        monkeypatch.setattr(codings, "import_module", imported)
        codings.look_again()

    yield take_away
    monkeypatch.undo()
    codings.look_again()


ZSTD = ("compression.zstd", "zstandard", "backports.zstd")
BROTLI = ("brotli", "brotlicffi")


def test_all_that_are_installed_are_offered_in_the_order_asked_for(without: Callable[..., None]) -> None:
    assert codings.offered(("gzip", "br", "zstd")) == ("gzip", "br", "zstd")
    assert codings.offered(("br", "deflate", "br", "gzip")) == ("br", "gzip")
    assert codings.offered(()) == ()


@pytest.mark.parametrize(
    ("missing", "left"),
    [(ZSTD, ("br", "gzip")), (BROTLI, ("zstd", "gzip")), (ZSTD + BROTLI, ("gzip",))],
)
def test_one_without_a_library_is_left_out(
    without: Callable[..., None], missing: tuple[str, ...], left: tuple[str, ...]
) -> None:
    without(*missing)

    assert codings.offered(codings.NAMES) == left
    assert codings.coding("zstd" if "br" in left else "br") is None


@pytest.mark.parametrize("number", [1, 2])
def test_each_library_can_stand_in_for_the_one_before(without: Callable[..., None], number: int) -> None:
    without(*ZSTD[:number], *BROTLI[:1])
    for name in ("zstd", "br"):
        found = codings.coding(name)
        if number == 2 and name == "zstd" and standard_zstd.__name__ == "compression.zstd":
            assert found is None  # nothing else is installed where Python has it
            continue
        assert found is not None
        assert [decode(found.encode(TEXT, 3, 9)) for decode in DECODERS[name]] == [TEXT] * len(DECODERS[name])


def test_a_library_that_breaks_when_it_is_imported_is_one_that_there_is_not(
    without: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> Any:
        raise OSError("a shared object is of another machine")

    monkeypatch.setattr(codings, "import_module", broken)
    codings.look_again()

    assert codings.offered(codings.NAMES) == ()
