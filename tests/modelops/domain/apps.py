"""A third domain, known only to tests: its trainer does at once what the test asks for."""

from django.apps import AppConfig


class TestDomainConfig(AppConfig):
    name = "tests.modelops.domain"
    label = "testdomain"

    def ready(self) -> None:
        from tests.modelops.domain.killer import listen
        from tests.modelops.domain.trainer import register

        register()
        listen()
