"""A narrow model and a wide one."""

from __future__ import annotations

import uuid

from django.db import models


class Topic(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Article(models.Model):
    """Twelve columns, three of them long texts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    topic = models.ForeignKey(Topic, on_delete=models.CASCADE, related_name="articles")
    number = models.IntegerField(default=0)
    title = models.CharField(max_length=200)
    slug = models.CharField(max_length=200, default="")
    state = models.CharField(max_length=20, default="draft")
    language = models.CharField(max_length=5, default="en")
    views = models.IntegerField(default=0)
    likes = models.IntegerField(default=0)
    summary = models.TextField(default="")
    body = models.TextField(default="")
    notes = models.TextField(default="")

    def __str__(self) -> str:
        return self.title
