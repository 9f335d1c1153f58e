"""The Celery application. Messages carry ids only; what they mean is read from the database."""

import os

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
app = Celery("lynceus")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def _keep_our_logging(**_: object) -> None:
    """Connecting to this signal is what stops Celery from replacing the logging set up by Django."""


@signals.celeryd_init.connect
def _name(sender: object, **_: object) -> None:
    from apps.core.node import name_node

    name_node(str(sender))


@signals.worker_ready.connect
def _begin(**_: object) -> None:
    from apps.core.heap import settle
    from apps.core.node import begin_all, node_name
    from apps.core.status import forget_loaded

    forget_loaded(node_name())  # a process before of this name
    begin_all(app.amqp.queues.consume_from)
    settle()


@signals.task_prerun.connect
def _bind_request_id(task: object, task_id: str, **_: object) -> None:
    from apps.core.logging import bind_task

    bind_task(task, task_id)


@signals.beat_init.connect
def _leave_a_pulse(**_: object) -> None:
    """In the beat process alone: what it sends leaves a mark that /status and health checks look at."""
    signals.before_task_publish.connect(_touch_pulse)


def _touch_pulse(**_: object) -> None:
    from django.conf import settings

    settings.BEAT_PULSE_PATH.touch()
