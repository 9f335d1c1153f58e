from django.urls import path

from apps.modelops.datasets import dataset_views, freeze_views
from apps.modelops.desk import views
from apps.modelops.jobs import fold_views, job_actions
from apps.modelops.promotion import gate_views
from apps.modelops.retraining import retraining_views
from apps.modelops.versions import card_views, compare_views, exchange_views, variant_views
from apps.modelops.watch import watch_views

app_name = "modelops"
urlpatterns = [
    path("", views.index, name="index"),
    path("<slug:domain>/jobs/", views.job_rows, name="job_rows"),
    path("<slug:domain>/train/", views.new_job, name="new_job"),
    path("jobs/<int:job_id>/", views.job, name="job"),
    path("jobs/<int:job_id>/live/", views.job_live, name="job_live"),
    path("jobs/<int:job_id>/curves.json", views.job_curves, name="job_curves"),
    path("jobs/<int:job_id>/log.txt", views.job_log, name="job_log"),
    path("jobs/<int:job_id>/cancel/", job_actions.cancel, name="cancel_job"),
    path("jobs/<int:job_id>/pause/", job_actions.pause, name="pause_job"),
    path("jobs/<int:job_id>/resume/", job_actions.resume, name="resume_job"),
    path("jobs/<int:job_id>/discard/", job_actions.discard, name="discard_checkpoint"),
    path(
        "cross-validations/<int:cross_validation_id>/", fold_views.cross_validation, name="cross_validation"
    ),
    path(
        "cross-validations/<int:cross_validation_id>/live/",
        fold_views.cross_validation_live,
        name="cross_validation_live",
    ),
    path("cross-validations/<int:cross_validation_id>/cancel/", fold_views.cancel_all, name="cancel_folds"),
    path("versions/<int:version_id>/", views.version, name="version"),
    path("versions/<int:version_id>/gate/", gate_views.check_at_gate, name="check_at_gate"),
    path("versions/<int:version_id>/gate/live/", gate_views.gate_live, name="gate_live"),
    path("versions/<int:version_id>/ask/", gate_views.ask, name="ask"),
    path("versions/<int:version_id>/roll-back/", gate_views.back, name="back"),
    path("promotions/<int:request_id>/", gate_views.decide, name="decide"),
    path("datasets/<int:dataset_id>/", dataset_views.dataset, name="dataset"),
    path("datasets/<int:dataset_id>/diff/", dataset_views.difference, name="dataset_diff"),
    path("<slug:domain>/freeze/", freeze_views.freeze, name="freeze"),
    path("freezes/<int:freeze_id>/", freeze_views.freezing, name="freezing"),
    path("versions/<int:version_id>/card.md", card_views.card_markdown, name="card_markdown"),
    path(
        "versions/<int:version_id>/curves/<slug:chart>.json", card_views.version_curves, name="version_curves"
    ),
    path("versions/<int:version_id>/cases/<int:row>.png", card_views.case_picture, name="case_picture"),
    path("compare/", compare_views.compare, name="compare"),
    path("compare/result/", compare_views.comparison, name="comparison"),
    path("compare/curves/<slug:chart>.json", compare_views.compared_curves, name="compared_curves"),
    path("versions/<int:version_id>/export/", exchange_views.export, name="export"),
    path("<slug:domain>/import/", exchange_views.import_archive, name="import"),
    path("<slug:domain>/retraining/", retraining_views.retraining, name="retraining"),
    path("versions/<int:version_id>/variant/", variant_views.choose, name="choose_variant"),
    path("<slug:domain>/watch/", watch_views.watch, name="watch"),
    path("<slug:domain>/watch/<slug:chart>.json", watch_views.watch_chart, name="watch_chart"),
    path("alarms/<int:alarm_id>/", watch_views.acknowledge_alarm, name="acknowledge_alarm"),
    path("alarms/receiver/", watch_views.receiver, name="alarm_receiver"),
]
