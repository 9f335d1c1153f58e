from django.http import HttpRequest, HttpResponseBase
from django.urls import path, register_converter
from django.views.decorators.csrf import csrf_exempt

from apps.radiology import dicomweb


class UidConverter:
    regex = r"[0-9.]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


@csrf_exempt  # dicomweb.store checks a session's token itself
def study(request: HttpRequest, study_uid: str) -> HttpResponseBase:
    if request.method == "POST":
        return dicomweb.store(request, study_uid)
    return dicomweb.retrieve(request, study_uid)


register_converter(UidConverter, "uid")
app_name = "dicomweb"
urlpatterns = [
    path("studies", dicomweb.store, name="store"),
    path("studies/<uid:study_uid>", study, name="study"),
    path("studies/<uid:study_uid>/series/<uid:series_uid>", dicomweb.retrieve, name="series"),
    path(
        "studies/<uid:study_uid>/series/<uid:series_uid>/instances/<uid:instance_uid>",
        dicomweb.retrieve,
        name="instance",
    ),
    path(
        "studies/<uid:study_uid>/series/<uid:series_uid>/instances/<uid:instance_uid>/rendered",
        dicomweb.rendered,
        name="rendered",
    ),
]
