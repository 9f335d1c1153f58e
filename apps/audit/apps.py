from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "apps.audit"

    def ready(self) -> None:
        from apps.audit import receivers
        from apps.audit.selectors import sealing_state
        from apps.core.status import register_check

        receivers.connect()
        register_check("audit chain", sealing_state)
