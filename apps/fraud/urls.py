from django.urls import path

from apps.fraud import operating_views, passing_views, queue_views, rule_views, views, work_views

app_name = "fraud"
urlpatterns = [
    path("", queue_views.queue, name="queue"),
    path("rows/", queue_views.rows, name="rows"),
    path("standing/", queue_views.standing, name="standing"),
    path("next/", work_views.take, name="take_next"),
    path("items/<int:item_id>/open/", work_views.open_item, name="open_item"),
    path("items/<int:item_id>/hold/", work_views.hold_item, name="hold_item"),
    path("items/move/", work_views.move_items, name="move_items"),
    path("capacity/", work_views.capacity, name="capacity"),
    path("views/", work_views.save_view, name="save_view"),
    path("views/<int:view_id>/delete/", work_views.delete_view, name="delete_view"),
    path("decisions/<uuid:public_id>/", views.decision, name="decision"),
    path("rules/", rule_views.versions, name="rules"),
    path("rules/new/", rule_views.new_version, name="new_version"),
    path("rules/<int:number>/", rule_views.version, name="version"),
    path("rules/<int:number>/activate/", rule_views.activate, name="activate_version"),
    path("rules/lists/", rule_views.lists, name="lists"),
    path("rules/lists/<int:entry_id>/end/", rule_views.end, name="end_entry"),
    path("rules/pass-through/", passing_views.pass_through, name="pass_through"),
    path("rules/pass-through/off/", passing_views.switch_pass_through_off, name="pass_through_off"),
    path("rules/pass-through/<int:number>/on/", passing_views.switch_pass_through_on, name="pass_through_on"),
    path("operating/<int:version_id>/", operating_views.operating_point, name="operating_point"),
    path("operating/<int:version_id>/consequence/", operating_views.consequence, name="consequence"),
    path("operating/<int:version_id>/curve.json", operating_views.value_recall, name="value_recall"),
]
