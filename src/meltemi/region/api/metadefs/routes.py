"""Where metadata definitions are found."""

from typing import Final

from meltemi.region.api.bodies import Answer, bodiless
from meltemi.region.api.metadefs import namespaces, objects, properties, resource_types, tags
from meltemi.region.api.metadefs.forms import NAMESPACES

_NAMESPACE: Final = f"{NAMESPACES}/{{namespace}}"
_OBJECT: Final = f"{_NAMESPACE}/objects/{{object}}"
_PROPERTY: Final = f"{_NAMESPACE}/properties/{{property}}"
_TAG: Final = f"{_NAMESPACE}/tags/{{tag}}"
_TYPES: Final = f"{_NAMESPACE}/resource_types"

ROUTES: Final[tuple[tuple[str, str, Answer], ...]] = (
    ("GET", "/v2/metadefs/resource_types", bodiless(resource_types.listing)),
    ("GET", NAMESPACES, namespaces.listing),
    ("POST", NAMESPACES, namespaces.create),
    ("GET", _NAMESPACE, bodiless(namespaces.show)),
    ("PUT", _NAMESPACE, namespaces.update),
    ("DELETE", _NAMESPACE, bodiless(namespaces.delete)),
    ("GET", _TYPES, bodiless(resource_types.show)),
    ("POST", _TYPES, resource_types.associate),
    ("DELETE", f"{_TYPES}/{{resource_type}}", bodiless(resource_types.dissociate)),
    ("GET", f"{_NAMESPACE}/properties", bodiless(properties.listing)),
    ("POST", f"{_NAMESPACE}/properties", properties.create),
    ("DELETE", f"{_NAMESPACE}/properties", namespaces.delete_properties),
    ("GET", _PROPERTY, properties.show),
    ("PUT", _PROPERTY, properties.update),
    ("DELETE", _PROPERTY, properties.delete),
    ("GET", f"{_NAMESPACE}/objects", objects.listing),
    ("POST", f"{_NAMESPACE}/objects", objects.create),
    ("DELETE", f"{_NAMESPACE}/objects", namespaces.delete_objects),
    ("GET", _OBJECT, bodiless(objects.show)),
    ("PUT", _OBJECT, objects.update),
    ("DELETE", _OBJECT, bodiless(objects.delete)),
    ("GET", f"{_NAMESPACE}/tags", tags.listing),
    ("POST", f"{_NAMESPACE}/tags", tags.create_several),
    ("DELETE", f"{_NAMESPACE}/tags", namespaces.delete_tags),
    ("GET", _TAG, bodiless(tags.show)),
    ("POST", _TAG, bodiless(tags.create)),
    ("PUT", _TAG, tags.update),
    ("DELETE", _TAG, bodiless(tags.delete)),
)
"""Every resource of metadata definitions."""
