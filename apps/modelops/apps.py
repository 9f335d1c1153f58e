from django.apps import AppConfig


class ModelopsConfig(AppConfig):
    name = "apps.modelops"

    def ready(self) -> None:
        from apps.core.context import register_notice
        from apps.core.status import register_queue_age
        from apps.core.sweep import register_sweeper
        from apps.modelops.common.selectors import queue_age
        from apps.modelops.datasets.services.freezes import ring_stalled_freezes
        from apps.modelops.jobs.notices import notice_of_alarms, notice_of_finished
        from apps.modelops.jobs.services.jobs import ring_for_waiting_jobs
        from apps.modelops.jobs.services.leftovers import forget_old_checkpoints
        from apps.modelops.promotion.services.gate import ring_for_waiting_gate_runs
        from apps.modelops.retraining.services.retraining import look_at_policies
        from apps.modelops.watch.services.alarm_news import ring_due
        from apps.modelops.watch.services.watch import ring_for_watch

        register_sweeper("modelops", ring_for_waiting_jobs)
        register_sweeper("modelops.gate", ring_for_waiting_gate_runs)
        register_sweeper("modelops.freezes", ring_stalled_freezes)
        register_sweeper("modelops.retraining", look_at_policies)
        register_sweeper("checkpoints", forget_old_checkpoints)
        register_sweeper("modelops.watch", ring_for_watch)
        register_sweeper("modelops.alarms", ring_due)
        register_notice(notice_of_alarms)
        register_notice(notice_of_finished)
        register_queue_age("training", queue_age)
