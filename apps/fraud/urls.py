from django.urls import path

from apps.fraud import backtest_views, operating_views, passing_views, rule_checks, rule_views, views

app_name = "fraud"
urlpatterns = [
    path("", views.queue, name="queue"),
    path("rows/", views.rows, name="rows"),
    path("decisions/<uuid:public_id>/", views.decision, name="decision"),
    path("rules/", rule_views.versions, name="rules"),
    path("rules/new/", rule_views.new_version, name="new_version"),
    path("rules/<int:number>/", rule_views.version, name="version"),
    path("rules/<int:number>/activate/", rule_views.activate, name="activate_version"),
    path("rules/check/", rule_checks.check, name="check_rule"),
    path("rules/backtests/", backtest_views.backtests, name="backtests"),
    path("rules/<int:number>/backtest/", backtest_views.start, name="start_backtest"),
    path("rules/backtests/<uuid:public_id>/", backtest_views.backtest, name="backtest"),
    path("rules/backtests/<uuid:public_id>/progress/", backtest_views.progress, name="backtest_progress"),
    path("rules/backtests/<uuid:public_id>/cancel/", backtest_views.cancel, name="cancel_backtest"),
    path("rules/lists/", rule_views.lists, name="lists"),
    path("rules/lists/<int:entry_id>/end/", rule_views.end, name="end_entry"),
    path("rules/pass-through/", passing_views.pass_through, name="pass_through"),
    path("rules/pass-through/off/", passing_views.switch_pass_through_off, name="pass_through_off"),
    path("rules/pass-through/<int:number>/on/", passing_views.switch_pass_through_on, name="pass_through_on"),
    path("operating/<int:version_id>/", operating_views.operating_point, name="operating_point"),
    path("operating/<int:version_id>/consequence/", operating_views.consequence, name="consequence"),
    path("operating/<int:version_id>/curve.json", operating_views.value_recall, name="value_recall"),
    path(
        "operating/<int:version_id>/<slug:name>.json",
        operating_views.threshold_curves,
        name="threshold_curves",
    ),
    path(
        "operating/proposals/<int:proposal_id>/review/",
        operating_views.review_operating_point,
        name="review_operating_point",
    ),
    path("thresholds/", operating_views.thresholds, name="thresholds"),
]
