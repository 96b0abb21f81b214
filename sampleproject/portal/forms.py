"""The form that visitors fill in."""

from __future__ import annotations

from django import forms

from sampleproject.portal.models import Lead


class LeadForm(forms.ModelForm):
    """What a visitor may say; the rest of a lead is for the view and the agents."""

    class Meta:
        model = Lead
        fields = ("name", "email", "company", "message")
        widgets = {
            "name": forms.TextInput(attrs={"autocomplete": "name"}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
            "company": forms.TextInput(attrs={"autocomplete": "organization"}),
            "message": forms.Textarea(attrs={"rows": 6}),
        }
