from django.urls import path

from apps.radiology import change_views, patient_views, piece_views, result_views, views

app_name = "radiology"
urlpatterns = [
    path("", views.worklist, name="worklist"),
    path("rows/", views.rows, name="rows"),
    path("upload/", views.upload, name="upload"),
    path("uploads/", piece_views.begin, name="begin_upload"),
    path("uploads/<uuid:public_id>/", piece_views.upload, name="piece_upload"),
    path("studies/<uuid:public_id>/", views.study, name="study"),
    path("studies/<uuid:public_id>/analysis/", views.analysis, name="analysis"),
    path("studies/<uuid:public_id>/changes/", change_views.study_changes, name="study_changes"),
    path("studies/<uuid:public_id>/move/", patient_views.move, name="move_study"),
    path("patients/", patient_views.patients, name="patients"),
    path("patients/merges/<int:merge_id>/undo/", patient_views.unmerge, name="undo_merge"),
    path("changes/", change_views.changes, name="changes"),
    path("corrections/<uuid:public_id>/accept/", change_views.accept, name="accept_correction"),
    path("corrections/<uuid:public_id>/refuse/", change_views.refuse, name="refuse_correction"),
    path("rejections/<uuid:public_id>/undo/", change_views.undo, name="undo_rejection"),
    path("aside/<uuid:public_id>/", change_views.aside, name="aside"),
    path("aside/<uuid:public_id>/image.png", change_views.aside_image, name="aside_image"),
    path("aside/<uuid:public_id>/settle/", change_views.settle, name="settle_aside"),
    path("results/<uuid:public_id>.dcm", result_views.result, name="result"),
    path("instances/<uuid:public_id>/image.png", views.image, name="image"),
    path("instances/<uuid:public_id>/attention/<str:label>.png", views.attention, name="attention"),
    path("instances/<uuid:public_id>/status/", views.instance_status, name="instance_status"),
]
