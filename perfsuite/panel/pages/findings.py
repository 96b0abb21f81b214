"""The page of findings, and what a person decides about one."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from perfsuite.metrics.findings import WORSE, finding, set_state
from perfsuite.metrics.findings import findings as every_finding
from perfsuite.panel.pages.answers import CHANGE, NotThere, chosen_of, may, said
from perfsuite.panel.pages.told import STATES, Told, title_of
from perfsuite.panel.pages.words import count
from perfsuite.panel.place import Place

# The first of them, in the order in which they are read; what is beyond, `manage.py findings` lists.
SHOWN = 50


def findings(request: HttpRequest, place: Place) -> HttpResponse:
    """Show the findings in a state, of one kind if the address names it."""
    state = chosen_of(request.GET.get("state", "open"), "state", STATES)
    kind = request.GET.get("kind", "")[:100]
    rows = every_finding()
    of_kind = [row for row in rows if kind in ("", row.kind)]
    matching = [row for row in of_kind if row.state == state]
    kinds = sorted({row.kind for row in rows} | ({kind} if kind else set()), key=title_of)
    context = {
        **place.context(request, "findings", "Findings"),
        "states": [
            {
                "title": title,
                "url": place.url("findings", state="" if each == "open" else each, kind=kind),
                "is_current": each == state,
                "number": count(sum(row.state == each for row in of_kind)),
            }
            for each, title in STATES.items()
        ],
        "state": state,
        "kind": kind,
        "kinds": [(each, title_of(each)) for each in kinds],
        "findings": [_shown(Told(row), place) for row in matching[:SHOWN]],
        "of": len(matching),
        "worse_first": any(row.kind in WORSE for row in matching),
        "may_change": may(request, CHANGE),
    }
    return TemplateResponse(request, "perfsuite_panel/findings.html", context)


def _shown(told: Told, place: Place) -> dict[str, Any]:
    return {
        "told": told,
        "url": place.url("finding", told.id),
        "query_url": place.url("query", told.short_id, database=told.row.alias) if told.is_statement else "",
    }


def change(request: HttpRequest, place: Place, id: str) -> HttpResponse:  # noqa: A002 - what it is called everywhere else
    """Ignore, resolve or open a finding, and go back to where the button was. Needs the permission."""
    if not may(request, CHANGE):
        raise PermissionDenied
    state = chosen_of(request.POST.get("state", ""), "state", STATES)
    held = finding(id)
    if held is None:
        raise NotThere(f"There is no finding {id[:40]!r}; it may have been trimmed.")
    try:
        set_state(id, state, by=str(cast(Any, request).user.get_username()))
    except LookupError as exc:
        raise NotThere(str(exc.args[0])) from exc
    except RuntimeError as exc:  # others change it all the time
        return said(request, place, "findings", "Findings", str(exc), 409)
    done = {"open": "opened again", "ignored": "ignored", "resolved": "resolved"}[state]
    messages.success(request, f"{Told(held).title} on {held.route} is {done}.", fail_silently=True)
    shown = request.POST.get("shown", "open")
    back = shown if shown in STATES and shown != "open" else ""
    return HttpResponseRedirect(place.url("findings", state=back, kind=request.POST.get("kind", "")[:100]))
