"""Archives at the terminal, and what the release before makes of an imported version."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.modelops.models import ModelVersion
from apps.modelops.versions import archive_keys
from tests.modelops.test_archive import FILES, exported, forget, mine, send  # noqa: F401


def test_both_ways_at_the_terminal(make_version, mine, tmp_path, capsys) -> None:  # noqa: F811
    version, out = make_version(files=FILES), tmp_path / "v.tar"
    call_command("export_version", "testing", "1", "--out", str(out))
    assert archive_keys.own_key() in capsys.readouterr().out
    with pytest.raises(CommandError, match="exists already"):
        call_command("export_version", "testing", "1", "--out", str(out))
    call_command("export_version", "--key")
    assert capsys.readouterr().out.strip() == archive_keys.own_key()
    with pytest.raises(CommandError, match="version_exists"):
        call_command("import_version", "testing", str(out), "--dataset", "ours")
    forget(version)
    call_command("import_version", "testing", str(out), "--dataset", "ours")
    assert "is here, as a candidate" in capsys.readouterr().out
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_version", "testing", str(tmp_path / "none.tar"), "--dataset", "ours")


@pytest.mark.django_db(transaction=True)
def test_the_release_before_finds_a_job(admin, exported, mine) -> None:  # noqa: F811
    send(admin, exported, mine)
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()  # of all: some of others go back with it
    MigrationExecutor(connection).migrate([("modelops", "0006_watch")])
    MigrationExecutor(connection).migrate(leaves)
    version = ModelVersion.objects.get()
    assert (version.job.status, version.job.preset) == ("succeeded", "imported")
