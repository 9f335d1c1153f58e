"""What the training subprocess runs under: the test settings and the test domain."""

from config.settings.test import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.modelops.domain.apps.TestDomainConfig"]  # noqa: F405
