"""The tables of the store.

Rows are only ever appended and deleted by range; nothing is updated but marks and findings, by the leader, and the state of a
finding, by a person. Every primary key is a UUID or a string, because an AutoField cannot be migrated on MongoDB, and each is
derived from what the row is about, so that writing it twice is refused rather than counted twice.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from perfsuite.metrics.storages.alias import store_alias


class StoreManager(models.Manager[Any]):
    """Finds and makes the rows on the store's alias, unless another is named with ``using``.

    Make rows with ``objects.create``: ``save`` of a new instance asks the routers, and ours has no opinion.
    """

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return all rows, on that alias."""
        rows = super().get_queryset()
        return rows if self._db else rows.using(store_alias())


class Series(models.Model):
    """What a series is about: its kind and its label values."""

    id = models.CharField(primary_key=True, max_length=16, editable=False)
    kind = models.CharField(max_length=60)
    labels = models.TextField(help_text="JSON list of the label values, in the order that the kind declares.")
    seen = models.BigIntegerField(
        help_text="Day on which a process last announced it, in seconds since the epoch."
    )

    objects = StoreManager()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["kind"], name="perfsuite_series_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.labels}"


class Bucket(models.Model):
    """What one series saw in one stretch of time: of one process at 10 seconds, of all of them above."""

    id = models.UUIDField(primary_key=True, editable=False)
    resolution = models.IntegerField(
        help_text="Length of the stretch in seconds: 10, 60, 600, 3600 or 86400."
    )
    start = models.BigIntegerField(help_text="Start of the stretch, seconds since the epoch.")
    kind = models.CharField(max_length=60)
    series = models.CharField(max_length=16)
    count = models.BigIntegerField()
    sum = models.FloatField()
    min = models.FloatField()
    max = models.FloatField()
    histogram = models.BinaryField()

    objects = StoreManager()

    class Meta:
        default_permissions = ()
        indexes = [
            # For compaction and for trimming.
            models.Index(fields=["resolution", "start"], name="perfsuite_bucket_range"),
            # For reading a kind, or some of its series, over a window; without it the panel of a busy site takes seconds.
            models.Index(fields=["kind", "resolution", "start", "series"], name="perfsuite_bucket_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.series} {self.start}+{self.resolution}"


class Mark(models.Model):
    """A number that the leader moves: how far compaction has come, when a job is due."""

    name = models.CharField(primary_key=True, max_length=100)
    value = models.BigIntegerField()

    objects = StoreManager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"


class Lease(models.Model):
    """Who leads. ``beat`` grows with each renewal; a lease whose beat stands still is free to take."""

    name = models.CharField(primary_key=True, max_length=50)
    owner = models.CharField(max_length=64)
    beat = models.BigIntegerField()

    objects = StoreManager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} held by {self.owner or 'nobody'}"


class Exemplar(models.Model):
    """One remembered instance of a series, such as its slowest statement, with the details that its app keeps."""

    id = models.UUIDField(primary_key=True, editable=False)
    series = models.CharField(max_length=16)
    at = models.BigIntegerField(help_text="Seconds since the epoch.")
    value = models.FloatField()
    data = models.TextField(help_text="JSON object; its keys are the recording app's.")

    objects = StoreManager()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["series", "at"], name="perfsuite_exemplar_series")]

    def __str__(self) -> str:
        return f"{self.series} at {self.at}: {self.value}"


class Sighting(models.Model):
    """What one process saw of one finding between two flushes; the leader merges it into the finding."""

    id = models.UUIDField(primary_key=True, editable=False)
    start = models.BigIntegerField(help_text="Start of the 10 seconds in which it was written.")
    finding = models.CharField(max_length=32)
    at = models.BigIntegerField(help_text="When the last was seen, in seconds since the epoch.")
    count = models.BigIntegerField()
    saving_us = models.FloatField()
    saving_us_max = models.FloatField()
    about = models.TextField(help_text="JSON list of the finding's kind, subject, alias, route and site.")
    evidence = models.TextField(help_text="JSON object of the last; its keys are those of the kind.")

    objects = StoreManager()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["start"], name="perfsuite_sighting_start")]

    def __str__(self) -> str:
        return f"{self.finding} at {self.at}: {self.count}"


class Finding(models.Model):
    """Something that should be changed on the site, with its evidence and what a person decided about it."""

    class State(models.TextChoices):
        OPEN = "open"
        IGNORED = "ignored"
        RESOLVED = "resolved"
        SUSPECTED = "suspected"

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    kind = models.CharField(max_length=60)
    subject = models.TextField()
    evidence = models.TextField(help_text="JSON object; its keys are those of the kind.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    first_seen = models.BigIntegerField(help_text="Seconds since the epoch.")
    last_seen = models.BigIntegerField(help_text="Seconds since the epoch.")
    alias = models.TextField()
    route = models.TextField()
    site = models.TextField()
    count = models.BigIntegerField()
    saving_us = models.FloatField()
    saving_us_max = models.FloatField()
    runs = models.BigIntegerField(help_text="Runs of its route while it was open or ignored.")
    quiet_runs = models.BigIntegerField(help_text="Runs since its last sighting.")
    recent_runs = models.FloatField(help_text="Runs up to its last sighting, older ones faded.")
    recent_count = models.FloatField(help_text="Sightings in those runs.")
    merged_to = models.BigIntegerField(help_text="Up to when the leader has counted for it.")
    state_at = models.BigIntegerField(help_text="Seconds since the epoch.")
    state_by = models.TextField(help_text="Who set the state; empty: nobody did.")
    regressions = models.IntegerField(help_text="How often it came back.")

    objects = StoreManager()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["state", "last_seen"], name="perfsuite_finding_state")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}"
