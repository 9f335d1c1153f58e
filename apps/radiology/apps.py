from django.apps import AppConfig


class RadiologyConfig(AppConfig):
    name = "apps.radiology"

    def ready(self) -> None:
        from django.conf import settings

        from apps.core.context import register_notice
        from apps.core.node import register_beginning
        from apps.core.status import register_check, register_queue_age
        from apps.core.sweep import register_sweeper
        from apps.modelops.registry import Domain, Include, Phase, register_domain
        from apps.radiology.analysis.services.analyse import begin, clear_half_received
        from apps.radiology.analysis.services.claims import ring_overdue
        from apps.radiology.common.selectors import model_in_service, queue_age
        from apps.radiology.copies.services.exports import ring_exports
        from apps.radiology.documents.dispatches import undelivered_reports
        from apps.radiology.documents.services.dispatches import ring_sending
        from apps.radiology.documents.services.documents import ring_documents
        from apps.radiology.documents.services.results import ring_results
        from apps.radiology.exchange.services.priors import peers_answer, ring_prior_fetches
        from apps.radiology.intake.services.pieces import clear_uploads
        from apps.radiology.lifecycle.services.shadow import ring_shadow
        from apps.radiology.lifecycle.shadow import waiting_age
        from apps.radiology.lifecycle.watched import MEASURES
        from apps.radiology.quality.services.compare import compare_due_studies
        from apps.radiology.reading.services.communications import escalate_overdue
        from apps.radiology.studies.services.quiet import complete_quiet_studies
        from apps.radiology.worklist.communications import notice_of_overdue
        from ml.radiology.card import INTENDED_USE, LIMITS
        from ml.radiology.config import PRESETS, TrainConfig

        register_domain(
            Domain(
                name="radiology",
                title="Chest radiographs",
                trainer="ml.radiology.train:train",
                fold_trainer="ml.radiology.one_fold:train_fold",
                evaluator="apps.radiology.lifecycle.evaluation:evaluate",
                scorer="apps.radiology.lifecycle.scoring:score",
                presets=PRESETS,
                check_params=TrainConfig.from_params,
                config=TrainConfig,
                phases=(
                    Phase("prepare", "films"),
                    Phase("train", "network"),
                    Phase("export", "export"),
                    Phase("calibrate", "calibration"),
                    Phase("test", "test"),
                ),
                dataset_command=(
                    "python manage.py import_images --name first"
                    " --images FOLDER_OR_TAR --labels CSV --findings A,B"
                ),
                gate="ml.radiology.gate_evidence:gate",
                latency_ms=settings.LYNCEUS_GATE_FILM_MS,
                exporter="apps.radiology.lifecycle.services.freeze_reads:export_reads",
                news="apps.radiology.lifecycle.read_news:read_news",
                cases="ml.radiology.importing:cases_of",
                includes=(
                    Include("signed", "Signed reads"),
                    Include(
                        "preliminary", "Preliminary reads", "Committed before the reveal, not signed yet."
                    ),
                    Include("synthetic", "Synthetic films", "Studies that were marked as made up."),
                ),
                intended_use=INTENDED_USE,
                limits=LIMITS,
                speed="ml.radiology.speed:measure_speed",
                examples="apps.radiology.lifecycle.version_cases",
                has_pictures=True,
                watcher="apps.radiology.lifecycle.model_watch:watch",
                reliability="apps.radiology.lifecycle.model_watch:reliability",
                measures=MEASURES,
                shadow_page="radiology:shadow",
            )
        )
        register_beginning("imaging", begin)
        register_queue_age("imaging", queue_age)
        register_queue_age("shadow", waiting_age)
        register_sweeper("radiology.open", ring_overdue)
        register_sweeper("radiology.quiet", complete_quiet_studies)
        register_sweeper("radiology.results", ring_results)
        register_sweeper("radiology.compare", compare_due_studies)
        register_sweeper("radiology.reports", ring_documents)
        register_sweeper("radiology.sending", ring_sending)
        register_sweeper("radiology.critical", escalate_overdue)
        register_sweeper("radiology.priors", ring_prior_fetches)
        register_sweeper("radiology.exports", ring_exports)
        register_sweeper("radiology.shadow", ring_shadow)
        register_sweeper("radiology.uploads", clear_uploads)
        register_sweeper("radiology.incoming", clear_half_received)
        register_check("radiology model", model_in_service)
        register_check("DICOM peers", peers_answer)
        register_check("reports to PACS", undelivered_reports)
        register_notice(notice_of_overdue)
