from django.apps import AppConfig


class ModelopsConfig(AppConfig):
    name = "apps.modelops"

    def ready(self) -> None:
        from apps.core.status import register_queue_age
        from apps.core.sweep import register_sweeper
        from apps.modelops.selectors import queue_age
        from apps.modelops.services.jobs import ring_for_waiting_jobs

        register_sweeper("modelops", ring_for_waiting_jobs)
        register_queue_age("training", queue_age)
