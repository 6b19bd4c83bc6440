"""The roles of the admin, as groups: what each may do. Admins may change them afterwards."""

from django.db import migrations

SEEN_BY_ALL = ("view_conversation", "view_generation", "view_flag", "view_chatmodel", "view_auditentry")
REVIEWER = (
    *SEEN_BY_ALL,
    "view_message",
    "view_feedback",
    "change_flag",
    "add_flag",
    "open_transcripts",
    "export_transcripts",
)
OPERATOR = (
    *SEEN_BY_ALL,
    "change_chatmodel",
    "view_breaker",
    "change_breaker",
    "view_plan",
    "view_worker",
    "stop_generations",
)
OWNER = (
    *REVIEWER,
    *OPERATOR,
    "add_chatmodel",
    "delete_chatmodel",
    "view_preset",
    "add_preset",
    "change_preset",
    "delete_preset",
    "add_plan",
    "change_plan",
    "delete_plan",
    "view_user",
    "add_user",
    "change_user",
    "delete_user",
    "view_group",
    "add_group",
    "change_group",
    "delete_group",
    *(f"{action}_{model}" for model in ("filterrule", "retentionrule") for action in ("view", "add", "change", "delete")),
    *("view_legalhold", "add_legalhold", "delete_legalhold"),
)
ROLES = {"reviewer": REVIEWER, "operator": OPERATOR, "owner": OWNER}
SPECIAL = {
    "open_transcripts": ("opening", "Can read transcripts after giving a reason"),
    "export_transcripts": ("opening", "Can export transcripts after giving a reason"),
    "stop_generations": ("generation", "Can stop the generations of others"),
}
APPS = {"user": "accounts", "group": "auth"}


def make_roles(apps, schema_editor):
    """Permissions are made after the migrations: those that are missing yet are made here, as they will be called."""
    Group = apps.get_model("auth", "Group")
    for name, codenames in ROLES.items():
        group, is_new = Group.objects.get_or_create(name=name)
        if not is_new:
            continue  # somebody's own group of that name is given nothing
        group.permissions.add(*(_permission(apps, codename) for codename in dict.fromkeys(codenames)))


def _permission(apps, codename):
    action, _, model = codename.partition("_")
    model, words = SPECIAL.get(codename, (model, f"Can {action} {model}"))
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    kind, _ = ContentType.objects.get_or_create(app_label=APPS.get(model, "conversations"), model=model)
    permission, _ = Permission.objects.get_or_create(content_type=kind, codename=codename, defaults={"name": words})
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0017_review"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
