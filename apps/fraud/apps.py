from django.apps import AppConfig


class FraudConfig(AppConfig):
    name = "apps.fraud"

    def ready(self) -> None:
        from django.conf import settings

        from apps.core.metrics import register_gauge
        from apps.core.status import register_check, register_queue_age
        from apps.core.sweep import register_sweeper
        from apps.fraud.backtests.services.backtests import ring_stalled
        from apps.fraud.common.selectors import (
            dead_deliveries,
            model_in_service,
            parked_transactions,
            pending_age,
            recent_counts,
            recent_latency_ms,
        )
        from apps.fraud.decide.services.drain import ring_overdue
        from apps.fraud.lifecycle.services.make_labels import ring_labels_due
        from apps.fraud.lifecycle.services.shadow import ring_shadow
        from apps.fraud.lifecycle.shadow import waiting_age
        from apps.fraud.lifecycle.watched import MEASURES
        from apps.fraud.serving.inference import loaded_here
        from apps.fraud.wire.services.deliver import ring_due
        from apps.fraud.work.services.budget import ring_stale_budgets
        from apps.fraud.work.services.gather import ring_ungathered
        from apps.modelops.registry import Domain, Include, Phase, register_domain
        from ml.fraud.card import INTENDED_USE, LIMITS
        from ml.fraud.config import PRESETS, TrainConfig

        register_domain(
            Domain(
                name="fraud",
                title="Card fraud",
                trainer="ml.fraud.train:train",
                fold_trainer="ml.fraud.folds:train_fold",
                evaluator="apps.fraud.lifecycle.evaluation:evaluate",
                scorer="apps.fraud.lifecycle.scoring:score",
                presets=PRESETS,
                check_params=TrainConfig.from_params,
                config=TrainConfig,
                phases=(
                    Phase("features", "features"),
                    Phase("sequence", "recurrent network"),
                    Phase("replay", "state of every card"),
                    Phase("trees", "trees", unit="round"),
                    Phase("test", "test"),
                ),
                dataset_command="python manage.py simulate_transactions --name first",
                operating_page="fraud:operating_point",
                gate="ml.fraud.gate_evidence:gate",
                latency_ms=settings.LYNCEUS_GATE_TRANSACTION_MS,
                exporter="apps.fraud.lifecycle.services.datasets:export_decided",
                news="apps.fraud.lifecycle.label_news:label_news",
                cases="ml.fraud.importing:cases_of",
                includes=(
                    Include("analyst", "Dispositions", "What analysts concluded."),
                    Include("outside", "Chargebacks and reports", "Cardholders, issuers, TC40 and SAFE."),
                    Include(
                        "silence",
                        "Silence",
                        "A payment that went through and of which nobody spoke for 60 days is legitimate.",
                    ),
                ),
                intended_use=INTENDED_USE,
                limits=LIMITS,
                speed="ml.fraud.speed:measure_speed",
                examples="apps.fraud.lifecycle.version_cases",
                shadow_page="fraud:shadow",
                watcher="apps.fraud.lifecycle.model_watch:watch",
                reliability="apps.fraud.lifecycle.model_watch:reliability",
                measures=MEASURES,
            )
        )
        register_queue_age("realtime", pending_age)
        register_queue_age("shadow", waiting_age)
        register_sweeper("fraud.pending", ring_overdue)
        register_sweeper("fraud.deliveries", ring_due)
        register_sweeper("fraud.alerts", ring_ungathered)
        register_sweeper("fraud.budgets", ring_stale_budgets)
        register_sweeper("fraud.labels", ring_labels_due)
        register_sweeper("fraud.backtests", ring_stalled)
        register_sweeper("fraud.shadow", ring_shadow)
        register_check("decision webhooks", dead_deliveries)
        register_check("fraud model", model_in_service)
        register_check("fraud model of this process", loaded_here, readiness=True)
        register_check("parked transactions", parked_transactions)
        register_gauge(
            "lynceus_decisions_recent",
            "Decisions of the last five minutes",
            ("outcome", "mode"),
            recent_counts,
        )
        register_gauge(
            "lynceus_decision_latency_ms",
            "From receipt to decision, over the last five minutes",
            ("quantile",),
            recent_latency_ms,
        )
