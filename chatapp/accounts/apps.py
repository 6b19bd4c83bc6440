from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "chatapp.accounts"
    verbose_name = "Accounts"
