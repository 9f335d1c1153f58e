from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import path, register_converter
from django.views.decorators.csrf import csrf_exempt

from apps.radiology.api import dicomweb, pictures, qido, wado

View = Callable[..., HttpResponseBase]


class UidConverter:
    regex = r"[0-9.]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class FramesConverter:
    """Numbers from 1, by comma: a hundred at most."""

    regex = r"[1-9][0-9]{0,4}(?:,[1-9][0-9]{0,4}){0,99}"

    def to_python(self, value: str) -> list[int]:
        return [int(number) for number in value.split(",")]

    def to_url(self, value: list[int]) -> str:
        return ",".join(map(str, value))


class PlaceConverter(UidConverter):
    """An element, inside sequences with the items on the way to it."""

    regex = r"[0-9A-Fa-f]{8}(?:/[0-9]{1,6}/[0-9A-Fa-f]{8}){0,8}"


def by_method(get: View, post: View) -> View:
    @csrf_exempt  # dicomweb.store checks a session's token itself
    def door(request: HttpRequest, **where: str) -> HttpResponseBase:
        return (post if request.method == "POST" else get)(request, **where)

    return door


register_converter(UidConverter, "uid")
register_converter(FramesConverter, "frames")
register_converter(PlaceConverter, "place")
STUDY = "studies/<uid:study_uid>"
SERIES = f"{STUDY}/series/<uid:series_uid>"
INSTANCE = f"{SERIES}/instances/<uid:instance_uid>"
FRAMES = f"{INSTANCE}/frames/<frames:frames>"
app_name = "dicomweb"
urlpatterns = [
    path("studies", by_method(qido.studies, dicomweb.store), name="studies"),
    path("series", qido.series, name="all_series"),
    path("instances", qido.instances, name="all_instances"),
    path(STUDY, by_method(wado.retrieve, dicomweb.store), name="study"),
    path(f"{STUDY}/series", qido.series, name="series_of_study"),
    path(f"{STUDY}/instances", qido.instances, name="instances_of_study"),
    path(f"{STUDY}/metadata", wado.metadata, name="study_metadata"),
    path(f"{STUDY}/rendered", pictures.rendered, name="study_rendered"),
    path(f"{STUDY}/thumbnail", pictures.thumbnail, name="study_thumbnail"),
    path(SERIES, wado.retrieve, name="series"),
    path(f"{SERIES}/instances", qido.instances, name="instances_of_series"),
    path(f"{SERIES}/metadata", wado.metadata, name="series_metadata"),
    path(f"{SERIES}/rendered", pictures.rendered, name="series_rendered"),
    path(f"{SERIES}/thumbnail", pictures.thumbnail, name="series_thumbnail"),
    path(INSTANCE, wado.retrieve, name="instance"),
    path(f"{INSTANCE}/metadata", wado.metadata, name="metadata"),
    path(f"{INSTANCE}/rendered", pictures.rendered, name="rendered"),
    path(f"{INSTANCE}/thumbnail", pictures.thumbnail, name="thumbnail"),
    path(f"{INSTANCE}/bulkdata/<place:place>", wado.bulkdata, name="bulkdata"),
    path(FRAMES, wado.frames, name="frames"),
    path(f"{FRAMES}/rendered", pictures.rendered, name="frames_rendered"),
]
