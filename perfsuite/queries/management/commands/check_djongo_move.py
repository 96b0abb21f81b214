"""``manage.py check_djongo_move``: list what stands between this project and django-mongodb-backend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.queries.djongo_move import in_models, in_requirements, in_settings, in_sources
from perfsuite.queries.djongo_move.findings import Finding, in_order


class Command(BaseCommand):
    """Reads the models, the sources of the host's own apps, the requirement files and the settings; changes nothing."""

    help = (
        "List what in models, sources, requirements and settings stands in the way of django-mongodb-backend."
    )
    requires_system_checks: Any = ()  # it must run where those checks fail for the very reasons it lists

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--root", type=Path, default=Path(), help="Folder of the requirement files (the current one)."
        )
        parser.add_argument(
            "--format", choices=("text", "json"), default="text", help="How to print the result."
        )

    def handle(self, *args: Any, root: Path, **options: Any) -> None:
        if not root.is_dir():
            raise CommandError(f"{str(root)!r} is no folder; give that of the requirement files with --root.")
        found = [*in_settings.scan(), *in_requirements.scan_project(root), *in_models.scan(), *_in_sources()]
        for finding in in_order(found):
            as_json = options["format"] == "json"
            self.stdout.write(json.dumps(finding.as_dict()) if as_json else str(finding))
        if found:
            self.stderr.write(f"{len(found)} things stand in the way.")
            sys.exit(2)
        self.stderr.write("Nothing stands in the way.")


def _in_sources() -> list[Finding]:
    names = in_models.many_to_many_names()
    found: list[Finding] = []
    for config in apps.get_app_configs():
        if config.label.startswith("perfsuite_") or not in_models.is_of_the_host(config):
            continue
        for path in sorted(Path(config.path).rglob("*.py")):
            shown = path.relative_to(Path.cwd()) if Path.cwd() in path.parents else path
            found += in_sources.scan(path.read_text(encoding="utf-8", errors="replace"), str(shown), names)
    return found
