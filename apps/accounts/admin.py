from django.contrib import admin

from apps.accounts.models import ApiClient, Site, User


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("email", "full_name", "role", "site", "is_active")
    list_filter = ("role", "site", "is_active")
    search_fields = ("email", "full_name")
    exclude = ("password",)
    readonly_fields = ("last_login",)


admin.site.register(Site)
admin.site.register(ApiClient)
