"""The app config of the responses app."""

from __future__ import annotations

from django.apps import AppConfig


class ResponsesConfig(AppConfig):
    """Registers the options and the checks, and drops pages in any process; the other work is the middleware's."""

    name = "perfsuite.responses"
    label = "perfsuite_responses"
    verbose_name = "Responses"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.responses import checks as _checks  # noqa: F401 - registers them
        from perfsuite.responses import following
        from perfsuite.responses.conf import ResponsesSettings

        conf.register(ResponsesSettings)
        following.connect()
