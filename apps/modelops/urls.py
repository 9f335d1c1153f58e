from django.urls import path

from apps.modelops import views

app_name = "modelops"
urlpatterns = [
    path("", views.index, name="index"),
    path("<slug:domain>/jobs/", views.job_rows, name="job_rows"),
    path("<slug:domain>/train/", views.new_job, name="new_job"),
    path("jobs/<int:job_id>/", views.job, name="job"),
    path("jobs/<int:job_id>/live/", views.job_live, name="job_live"),
    path("jobs/<int:job_id>/curves.json", views.job_curves, name="job_curves"),
    path("jobs/<int:job_id>/cancel/", views.cancel_job, name="cancel_job"),
    path("versions/<int:version_id>/", views.version, name="version"),
    path("versions/<int:version_id>/promote/", views.promote, name="promote"),
    path("datasets/<int:dataset_id>/", views.dataset, name="dataset"),
]
