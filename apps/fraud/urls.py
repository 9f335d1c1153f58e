from django.urls import path

from apps.fraud import views

app_name = "fraud"
urlpatterns = [
    path("", views.queue, name="queue"),
    path("rows/", views.rows, name="rows"),
    path("decisions/<uuid:public_id>/", views.decision, name="decision"),
]
