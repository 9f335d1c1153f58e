from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import User
from apps.accounts.services import remove_second_factor


class Command(BaseCommand):
    help = "Remove the second factor of a person who lost the device, or whose secret cannot be read."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        user = User.objects.filter(email=email.lower()).first()
        if user is None:
            raise CommandError("There is no such account.")
        if not remove_second_factor(user):
            raise CommandError("This account has no second factor.")
        self.stdout.write("Removed. A role that needs one is asked for a new one at the next sign-in.")
