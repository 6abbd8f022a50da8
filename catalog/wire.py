"""How a resource stands in the messages of the local API."""

from typing import Final

from yidao.api.local.v1 import catalog_pb2
from yidao.catalog.errors import ResourceMalformed
from yidao.catalog.resource import Item, Resource, ShareType, Source

#: A wire number of 32 bits; a resource's numbers are far below it.
_MAX_NUMBER: Final = 2**31 - 1


def resource_message(resource: Resource) -> catalog_pb2.CatalogResource:
    """Write a resource.

    Raises:
        ResourceMalformed: A number is out of the range of 31 bits.
    """
    for item in resource.items:
        if not (0 <= item.length <= _MAX_NUMBER and 0 <= item.grade <= _MAX_NUMBER):
            raise ResourceMalformed(field="items")
    return catalog_pb2.CatalogResource(
        code=resource.code,
        title=resource.title,
        class_code=resource.class_code,
        provider_name=resource.provider_name,
        provider_uscc=resource.provider_uscc,
        description=resource.description,
        format=resource.format,
        items=[
            catalog_pb2.CatalogItem(
                name=item.name,
                title=item.title,
                type=item.type,
                length=item.length,
                grade=item.grade,
            )
            for item in resource.items
        ],
        share_type=resource.share_type.value,
        share_condition=resource.share_condition,
        share_mode=resource.share_mode,
        share_basis=resource.share_basis,
        open=resource.open,
        open_condition=resource.open_condition,
        update_cycle=resource.update_cycle,
        issued=resource.issued,
        related=resource.related,
        theme=resource.theme,
        region_code=resource.region_code,
        source_pack=resource.source.pack,
        source_form=resource.source.form,
        extra=dict(resource.extra),
    )


def share_type_of(number: int) -> ShareType:
    """Read a share type; raises `ResourceMalformed` if the list has no such number."""
    try:
        return ShareType(number)
    except ValueError:
        raise ResourceMalformed(field="share_type") from None


def resource_of(message: catalog_pb2.CatalogResource) -> Resource:
    """Read a resource; raises `ResourceMalformed` if its share type is none."""
    return Resource(
        code=message.code,
        title=message.title,
        class_code=message.class_code,
        provider_name=message.provider_name,
        provider_uscc=message.provider_uscc,
        description=message.description,
        format=message.format,
        items=tuple(
            Item(
                name=item.name,
                title=item.title,
                type=item.type,
                length=item.length,
                grade=item.grade,
            )
            for item in message.items
        ),
        share_type=share_type_of(message.share_type),
        share_condition=message.share_condition,
        share_mode=message.share_mode,
        share_basis=message.share_basis,
        open=message.open,
        open_condition=message.open_condition,
        update_cycle=message.update_cycle,
        issued=message.issued,
        related=tuple(message.related),
        theme=message.theme,
        region_code=message.region_code,
        source=Source(pack=message.source_pack, form=message.source_form),
        extra=dict(message.extra),
    )
