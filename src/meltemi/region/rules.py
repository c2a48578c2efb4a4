"""Glance's policies: their names, and who may do what unless an operator says otherwise.

They are those of Glance 33. Who was allowed more by the defaults that it has given up, as everybody
with any role in a project, is not any more: it does the same.
"""

from collections.abc import Mapping
from typing import Final

_ADMIN: Final = "rule:context_is_admin"
_MEMBER: Final = "role:member and project_id:%(project_id)s"
_READER: Final = "role:reader and project_id:%(project_id)s"
_SHARED: Final = "project_id:%(project_id)s or project_id:%(member_id)s"
_SEEN: Final = " or ".join(
    [
        _SHARED,
        *(f"'{visibility}':%(visibility)s" for visibility in ("community", "public", "shared")),
    ]
)
_NAMESPACE: Final = "project_id:%(project_id)s or 'public':%(visibility)s"

ROLES: Final[Mapping[str, str]] = {
    "default": "",
    "context_is_admin": "role:admin",
    "service_api": "role:service or role:admin",
    "metadef_default": "",
    "metadef_admin": _ADMIN,
}
"""Rules that others build on; they hold for tokens of any scope."""

_TABLE: Final = {
    _ADMIN: """
        publicize_image copy_image delete_image_location list_cached_nodes
        manage_image_cache cache_image cache_list cache_delete cache_clean cache_prune
        tasks_api_access
    """,
    f"{_ADMIN} or ({_MEMBER} and project_id:%(owner)s)": "add_image",
    f"{_ADMIN} or ({_MEMBER})": """
        modify_image delete_image upload_image deactivate reactivate communitize_image
        set_image_location add_member delete_member
    """,
    f"{_ADMIN} or ({_READER})": "get_images get_image_location get_metadef_namespaces",
    f"{_ADMIN} or (role:reader and ({_SEEN}))": "get_image",
    f"{_ADMIN} or (role:member and ({_SEEN}))": "download_image download_from_store",
    f"{_ADMIN} or role:reader and ({_SHARED})": "get_member get_members",
    f"{_ADMIN} or (role:member and project_id:%(member_id)s)": "modify_member",
    f"{_ADMIN} or rule:service_api": "stores_info_detail",
    f"rule:service_api or ({_MEMBER} and project_id:%(owner)s)": "add_image_location",
    "rule:service_api": "fetch_image_location",
    "rule:default": "get_task get_tasks add_task modify_task",
    f"{_ADMIN} or (role:reader and ({_NAMESPACE}))": """
        get_metadef_namespace get_metadef_object get_metadef_objects
        get_metadef_property get_metadef_properties get_metadef_tag get_metadef_tags
        get_metadef_resource_type list_metadef_resource_types
    """,
    "rule:metadef_admin": """
        add_metadef_namespace modify_metadef_namespace delete_metadef_namespace
        add_metadef_object modify_metadef_object delete_metadef_object
        add_metadef_property modify_metadef_property remove_metadef_property
        add_metadef_tag add_metadef_tags modify_metadef_tag
        delete_metadef_tag delete_metadef_tags
        add_metadef_resource_type_association remove_metadef_resource_type_association
    """,
}

POLICIES: Final[Mapping[str, str]] = {
    name: rule for rule, names in _TABLE.items() for name in names.split()
}
"""What each request needs; they hold for tokens of a project alone, or of no scope at all."""
