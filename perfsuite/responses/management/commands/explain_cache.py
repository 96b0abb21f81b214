"""``manage.py explain_cache``: why a URL is or is not answered from the response cache."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.responses.explaining import explain
from perfsuite.responses.inprocess import NotAskable

CAVEAT = "A cache in memory is that of this process, not of the running site. The request was a real one."


class Command(BaseCommand):
    """Asks for a URL once and says what came of it."""

    help = "Say step by step why a URL is or is not answered from the response cache. Asks for it once, so its view may run."
    requires_system_checks: Any = ()  # what they report may be what is to be explained

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="A URL of this site, or a path.")
        parser.add_argument(
            "--header",
            action="append",
            default=[],
            metavar="FIELD",
            dest="headers",
            help="A header field of the request, 'Name: value'; may be given several times.",
        )
        parser.add_argument("--format", choices=("text", "json"), default="text", dest="form")

    def handle(self, *args: Any, url: str, headers: list[str], form: str, **options: Any) -> None:
        try:
            found = explain(url, headers)
        except (NotAskable, ImproperlyConfigured) as exc:
            raise CommandError(str(exc)) from exc
        except ImportError as exc:
            raise CommandError(f"The site's middleware or URLs cannot be loaded: {exc}") from exc
        for name, text in found.steps:
            record: dict[str, Any] = {"step": name, "text": text}
            if name == "conclusion":
                record.update(cached=found.is_cached, reason=found.reason)
            self.stdout.write(json.dumps(record) if form == "json" else f"{name}: {text}")
        if any(name == "request" for name, _ in found.steps):
            self.stderr.write(CAVEAT)
        if not found.is_cached:
            sys.exit(2)
