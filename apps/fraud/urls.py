from django.urls import path

from apps.fraud import operating_views, rule_views, views

app_name = "fraud"
urlpatterns = [
    path("", views.queue, name="queue"),
    path("rows/", views.rows, name="rows"),
    path("decisions/<uuid:public_id>/", views.decision, name="decision"),
    path("rules/", rule_views.versions, name="rules"),
    path("rules/new/", rule_views.new_version, name="new_version"),
    path("rules/<int:number>/", rule_views.version, name="version"),
    path("rules/<int:number>/activate/", rule_views.activate, name="activate_version"),
    path("rules/lists/", rule_views.lists, name="lists"),
    path("rules/lists/<int:entry_id>/end/", rule_views.end, name="end_entry"),
    path("operating/<int:version_id>/", operating_views.operating_point, name="operating_point"),
    path("operating/<int:version_id>/consequence/", operating_views.consequence, name="consequence"),
    path("operating/<int:version_id>/curve.json", operating_views.value_recall, name="value_recall"),
]
