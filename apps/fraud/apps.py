from django.apps import AppConfig


class FraudConfig(AppConfig):
    name = "apps.fraud"

    def ready(self) -> None:
        from apps.core.status import register_queue_age
        from apps.core.sweep import register_sweeper
        from apps.fraud.selectors import pending_age
        from apps.fraud.services.drain import ring_overdue

        register_queue_age("realtime", pending_age)
        register_sweeper("fraud.pending", ring_overdue)
