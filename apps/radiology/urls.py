from django.urls import path

from apps.radiology import views

app_name = "radiology"
urlpatterns = [
    path("", views.worklist, name="worklist"),
    path("rows/", views.rows, name="rows"),
    path("upload/", views.upload, name="upload"),
    path("studies/<uuid:public_id>/", views.study, name="study"),
    path("studies/<uuid:public_id>/analysis/", views.analysis, name="analysis"),
    path("instances/<uuid:public_id>/image.png", views.image, name="image"),
    path("instances/<uuid:public_id>/attention/<str:label>.png", views.attention, name="attention"),
    path("instances/<uuid:public_id>/status/", views.instance_status, name="instance_status"),
]
