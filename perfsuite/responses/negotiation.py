"""Which content coding a client gets: Accept-Encoding by RFC 9110 12.5.3, pure.

The surprising rule: what cannot be read is not acceptable. A weight that is none, or one coding with two weights, leaves that
coding out, and a field of more than ``MAX_LENGTH`` characters asks for no coding at all; as is, is what every client can read.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

IDENTITY: Final = "identity"
# Browsers send some 30 characters. The server may disregard the field, so a longer one costs nothing.
MAX_LENGTH: Final = 2_048
# RFC 9110 8.4.1.3.
ALIASES: Final = {"x-gzip": "gzip"}

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


class Negotiated(NamedTuple):
    """What a client gets: ``coding``, which is ``IDENTITY`` for as is; and whether it refuses ``IDENTITY``."""

    coding: str
    refuses_identity: bool


AS_IS: Final = Negotiated(IDENTITY, refuses_identity=False)


def negotiate(field: str | None, offered: tuple[str, ...]) -> Negotiated:
    """Return the coding of ``offered`` that the client likes best; the server likes them in their order.

    ``field`` is the value of Accept-Encoding, its lines joined by commas, or None. Without one the answer is ``IDENTITY``, for
    who does not say that it can decode often cannot. Where nothing is acceptable, it is ``IDENTITY`` as well: RFC 9110 lets a
    server disregard the field, and a refusal helps nobody.
    """
    if not field or not offered or len(field) > MAX_LENGTH:
        return AS_IS
    return _negotiate(field, offered)


def _negotiate(field: str, offered: tuple[str, ...]) -> Negotiated:
    weights = read_weights(field)
    others = weights.get("*", 0)
    # Unless it is named, as is comes after whatever is acceptable, and is refused only by "*;q=0".
    identity = weights.get(IDENTITY, 0 if weights.get("*") == 0 else 1)
    best, best_weight = IDENTITY, 0
    for coding in offered:
        weight = weights.get(coding, others)
        if weight > best_weight:
            best, best_weight = coding, weight
    if best_weight and (IDENTITY not in weights or best_weight >= identity):
        return Negotiated(best, identity == 0)
    return Negotiated(IDENTITY, identity == 0)


def read_weights(field: str) -> dict[str, int]:
    """Return the weight of each coding that the field names, in thousandths, by its name in lower case."""
    weights: dict[str, int] = {}
    for element in field.split(","):
        name, *parameters = element.split(";")
        name = name.strip().lower()
        if not name:
            continue  # RFC 9110 5.6.1.2: empty elements are ignored
        name = ALIASES.get(name, name)
        weight = _weight(parameters)
        if weight is None:
            if name == IDENTITY:
                continue
            weight = 0
        weights[name] = min(weight, weights.get(name, weight))
    return weights


def _weight(parameters: list[str]) -> int | None:
    """Return the weight among an element's parameters, 1,000 where there is none, None where it cannot be read."""
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if name.strip().lower() != "q":
            continue
        value = value.strip()
        if not equals or _WEIGHT.fullmatch(value) is None:
            return None
        whole, _, part = value.partition(".")
        return int(whole) * 1_000 + int(part.ljust(3, "0"))
    return 1_000
