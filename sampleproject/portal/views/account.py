"""The page of who is logged in. The form to log out has a token, so it is here and not in the head of each page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from perfsuite.responses import never_cache_response


@login_required
@never_cache_response
def account(request: HttpRequest) -> HttpResponse:
    """Say who is logged in, and let them log out."""
    return render(request, "portal/account.html")
