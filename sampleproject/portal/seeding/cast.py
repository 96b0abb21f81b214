"""The companies, their forms and the people: invented names, real work."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Company:
    """A tenant to be, and the top-level modules that its portal documents."""

    name: str
    slug: str
    tagline: str
    accent: str
    modules: str


NETWORK = (
    "asynchat asyncio asyncore cgi cgitb email ftplib html http imaplib ipaddress mailbox mailcap mimetypes netrc nntplib "
    "poplib quopri select selectors smtpd smtplib socket socketserver ssl telnetlib urllib uuid webbrowser wsgiref xml xmlrpc"
)
TEXT_AND_DATA = (
    "array ast base64 binascii bisect builtins bz2 calendar cmath codecs collections colorsys configparser copy csv "
    "dataclasses datetime dbm decimal difflib enum fractions functools graphlib gzip hashlib heapq hmac io itertools json "
    "locale lzma math numbers operator optparse pickle pickletools plistlib pprint queue random re reprlib secrets shelve "
    "sqlite3 statistics string struct tarfile textwrap time tomllib typing unicodedata zipfile zlib zoneinfo"
)
# The last company documents whatever the others do not.
COMPANIES = (
    Company(
        "Harbor Networks", "harbor", "Protocols, the web and asynchronous I/O, explained.", "teal", NETWORK
    ),
    Company("Cedar Data", "cedar", "Text, numbers and collections, explained.", "indigo", TEXT_AND_DATA),
    Company("Summit Systems", "summit", "Processes, files and developer tools, explained.", "amber", ""),
)

FORMS = (
    ("Ask a question", "question", "Something is unclear? Our engineers answer within one working day."),
    ("Book a training", "training", "A day of training for your team, at your place or ours."),
    ("Report a mistake", "mistake", "Found something wrong in a page? Tell us, and we correct it."),
)

FIRST_NAMES = (
    "Ada Aisha Alan Amara Anders Barbara Beatriz Carlos Chen Clara Daniel Divya Edsger Elena Emre Farah Felix Frances "
    "Grace Hana Hedy Hugo Ines Ivan Jasper Jean Joan Jonas Kamal Karen Keiko Lars Leila Linus Lucia Maria Mateo Mei "
    "Niklaus Nadia Olga Omar Priya Radia Rosa Samuel Sofia Tariq Tomas Uma Vera Viktor Wanda Xavier Yara Yusuf Zofia"
)
LAST_NAMES = (
    "Abel Adeyemi Almeida Andersson Bauer Becker Bianchi Bose Castro Chandra Costa Diaz Dubois Eriksen Farouk Fischer "
    "Garcia Gupta Haddad Hansen Hopper Ibrahim Ito Ivanova Jansen Kaya Keller Kim Kowalski Larsen Lindgren Liskov "
    "Lopez Marino Mensah Moreau Nakamura Novak Okafor Olsen Patel Perlman Petrov Quist Rossi Sato Schmidt Silva Singh "
    "Tanaka Torres Turing Usman Vargas Virtanen Wagner Weber Wirth Yamada Zhang"
)
FIRMS = tuple(
    f"{first} {second}"
    for first in (
        "Amber",
        "Blue",
        "Clear",
        "Delta",
        "Evergreen",
        "Fjord",
        "Granite",
        "Iron",
        "Lake",
        "Maple",
        "North",
        "Quiet",
    )
    for second in (
        "Analytics",
        "Bank",
        "Foods",
        "Health",
        "Labs",
        "Logistics",
        "Media",
        "Robotics",
        "Schools",
        "Works",
    )
)
MESSAGES = {
    "question": (
        "We use {title} in production and wonder how it behaves under load. Is there a limit that we should know of?",
        "The page on {title} says: \u201c{summary}\u201d Does that hold on Windows as well?",
        "Could you show a longer example of {title}? Our new colleagues find it hard to start with.",
        "What would you recommend instead of {title} when several threads are involved?",
    ),
    "training": (
        "We are a team of {size} and would like a training day about {module}, with {title} as one of the topics.",
        "Do you offer an online course that covers {title}? We would be {size} people.",
        "Our team of {size} moves to a new release next quarter. Please send an offer for two days on {module}.",
    ),
    "mistake": (
        "In the page on {title} the sentence \u201c{summary}\u201d seems to be out of date.",
        "The example for {title} does not run as it is printed. Please have a look.",
        "The signature of {title} lacks an argument in your page.",
    ),
}


def person(random: Random) -> tuple[str, str]:
    """Return a first and a last name."""
    return random.choice(FIRST_NAMES.split()), random.choice(LAST_NAMES.split())


def company_of(module: str) -> int:
    """Return the index in COMPANIES of the one that documents `module`."""
    for index, company in enumerate(COMPANIES):
        if module in company.modules.split():
            return index
    return len(COMPANIES) - 1
