"""Every door of the web process. A door without a row in the permission table fails a test."""

from django.contrib import admin
from django.urls import include, path

from apps.accounts.views import admin_password, admin_sign_in, home
from apps.core import views as core
from config.api import api

admin.autodiscover()
admin.site.login = admin_sign_in  # type: ignore[method-assign]
admin.site.password_change = admin_password  # type: ignore[assignment,method-assign]
admin.site.password_change_done = admin_password  # type: ignore[assignment,method-assign]

urlpatterns = [
    path("", home, name="home"),
    path("livez", core.livez, name="livez"),
    path("readyz", core.readyz, name="readyz"),
    path("metrics", core.metrics, name="metrics"),
    path("status/", core.status, name="status"),
    path("accounts/", include("apps.accounts.urls")),
    path("admin/", admin.site.urls),
    path("audit/", include("apps.audit.urls")),
    path("fraud/", include("apps.fraud.urls")),
    path("models/", include("apps.modelops.urls")),
    path("radiology/", include("apps.radiology.urls")),
    path("dicom-web/", include("apps.radiology.api.dicomweb_urls")),
    path("api/v1/", api.urls),
]
handler400 = "apps.core.views.error_400"
handler403 = "apps.core.views.error_403"
handler404 = "apps.core.views.error_404"
handler500 = "apps.core.views.error_500"
