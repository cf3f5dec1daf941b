"""Posts as content's nodes of one kind. The rules are content's; only the names of the fields change here.

Content's events with `kind: post` are the blog's events: own ones would tell subscribers everything twice.
"""

from typing import Any

from pydantic import BaseModel

from rustok.db.unit_of_work import UnitOfWork
from rustok.modules import content
from rustok.modules.blog import schemas
from rustok.modules.blog.schemas import Post
from rustok.modules.content import NodeKind

POST = NodeKind("post")


async def create_post(uow: UnitOfWork, data: schemas.CreatePost) -> Post:
    return _post(await content.create_node(uow, content.NewNode(**_fields(data)), POST))


async def get_post(uow: UnitOfWork, data: schemas.GetPost) -> schemas.PostWithBodies:
    node = await content.get_node(uow, content.GetNode(node_id=data.post_id), POST)
    return schemas.PostWithBodies.model_validate(node, from_attributes=True)


async def list_posts(uow: UnitOfWork, data: schemas.ListPosts) -> schemas.PostPage:
    page = await content.list_nodes(uow, content.ListNodes(**_fields(data)), POST)
    return schemas.PostPage(data=[_post(node) for node in page.data], page=page.page)


async def update_post(uow: UnitOfWork, data: schemas.UpdatePost) -> Post:
    return _post(await content.update_node(uow, content.UpdateNode(**_fields(data)), POST))


async def publish_post(uow: UnitOfWork, data: schemas.PostReference) -> Post:
    return _post(await content.publish_node(uow, content.NodeReference(**_fields(data)), POST))


async def unpublish_post(uow: UnitOfWork, data: schemas.PostReference) -> Post:
    return _post(await content.unpublish_node(uow, content.NodeReference(**_fields(data)), POST))


async def delete_post(uow: UnitOfWork, data: schemas.PostReference) -> schemas.DeletedPost:
    node = await content.delete_node(uow, content.NodeReference(**_fields(data)), POST)
    return schemas.DeletedPost(id=node.id, version=node.version)


async def set_translation(uow: UnitOfWork, data: schemas.SetPostTranslation) -> Post:
    return _post(await content.set_translation(uow, content.SetTranslation(**_fields(data)), POST))


async def delete_translation(uow: UnitOfWork, data: schemas.PostTranslationReference) -> Post:
    return _post(await content.delete_translation(uow, content.TranslationReference(**_fields(data)), POST))


async def set_body(uow: UnitOfWork, data: schemas.SetPostBody) -> Post:
    return _post(await content.set_body(uow, content.SetBody(**_fields(data)), POST))


def _fields(data: BaseModel) -> dict[str, Any]:
    """Return the fields that the input has, as content names them."""
    fields = data.model_dump(exclude_unset=True)
    if "post_id" in fields:
        fields["node_id"] = fields.pop("post_id")
    return fields


def _post(node: content.Node) -> Post:
    return Post.model_validate(node, from_attributes=True)
