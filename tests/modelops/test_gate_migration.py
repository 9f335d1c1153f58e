"""What served before the champion is known from the first hour of the gate on, and the way back is open."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.core.clock import now
from apps.modelops.models import Model, Promotion
from tests.promoting import put_in_service


@pytest.mark.django_db(transaction=True)
def test_what_served_before_is_remembered(make_version) -> None:
    first, second = make_version(), make_version()
    for version in (first, second, first, second):
        put_in_service(version)
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()  # of all: some of others go back with it
    MigrationExecutor(connection).migrate([("modelops", "0001_initial")])
    MigrationExecutor(connection).migrate(leaves)
    assert Promotion.objects.filter(at__lte=now()).count() == 4
    model = Model.objects.get()
    assert (model.champion, model.previous, model.challenger) == (second, first, None)
