from django.apps import AppConfig


class ModelopsConfig(AppConfig):
    name = "apps.modelops"

    def ready(self) -> None:
        from apps.core.bell import ring
        from apps.core.status import register_queue_age
        from apps.core.sweep import register_sweeper
        from apps.modelops.selectors import claimable_jobs, queue_age

        def ring_for_waiting_jobs() -> int:
            waiting = claimable_jobs().count()
            if waiting:
                ring("modelops.run_next_job")
            return waiting

        register_sweeper("modelops", ring_for_waiting_jobs)
        register_queue_age("training", queue_age)
