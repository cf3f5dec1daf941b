"""Descriptor of the content module."""

from functools import partial

from rustok.kernel.module import Command, Module, ModuleKind, Query
from rustok.kernel.permission import Permission
from rustok.modules.content import errors, schemas, service
from rustok.modules.content.events import EVENTS
from rustok.modules.content.projections import INDEX_CONTENT

_change = partial(
    Command,
    permission="content.nodes.write",
    result=schemas.Node,
    checks_version=True,
)

CONTENT = Module(
    name="content",
    kind=ModuleKind.DOMAIN,
    summary="A tree of nodes of any kind, with their texts and bodies.",
    depends_on=("tenants", "index"),
    permissions=(
        Permission("content.nodes.read", "Read nodes of kinds that no wrapper has, also drafts"),
        Permission(
            "content.nodes.write", "Create, change and delete nodes of kinds that no wrapper has", may_be_own=True
        ),
        Permission(
            "content.nodes.publish", "Publish and unpublish nodes of kinds that no wrapper has", may_be_own=True
        ),
    ),
    events=EVENTS,
    commands=(
        Command(
            name="content.nodes.create",
            summary="Create a node, as a draft",
            permission="content.nodes.write",
            input=schemas.CreateNode,
            result=schemas.Node,
            handler=service.create_free_node,
            route="POST /nodes",
            status=201,
            location="/nodes/{id}",
            errors=(errors.DuplicateSlug, errors.ParentNotFound, errors.NodeTooDeep),
        ),
        _change(
            name="content.nodes.update",
            summary="Change fields of a node, or move it",
            input=schemas.UpdateNode,
            handler=service.update_node,
            route="PATCH /nodes/{node_id}",
            errors=(errors.NodeNotFound, errors.ParentNotFound, errors.NodeCycle, errors.NodeTooDeep),
        ),
        _change(
            name="content.nodes.publish",
            summary="Let the storefront show a node",
            permission="content.nodes.publish",
            input=schemas.NodeReference,
            handler=service.publish_node,
            route="POST /nodes/{node_id}/publish",
            checks_version=False,
            errors=(errors.NodeNotFound,),
        ),
        _change(
            name="content.nodes.unpublish",
            summary="Take a node off the storefront",
            permission="content.nodes.publish",
            input=schemas.NodeReference,
            handler=service.unpublish_node,
            route="POST /nodes/{node_id}/unpublish",
            checks_version=False,
            errors=(errors.NodeNotFound,),
        ),
        _change(
            name="content.nodes.delete",
            summary="Delete an unpublished node without children",
            input=schemas.NodeReference,
            result=schemas.DeletedNode,
            handler=service.delete_node,
            route="DELETE /nodes/{node_id}",
            errors=(errors.NodeNotFound, errors.NodePublished, errors.NodeHasChildren),
        ),
        _change(
            name="content.translations.set",
            summary="Set title, slug and excerpt of a node in one locale",
            input=schemas.SetTranslation,
            handler=service.set_translation,
            route="PUT /nodes/{node_id}/translations/{locale}",
            errors=(errors.NodeNotFound, errors.DuplicateSlug),
        ),
        _change(
            name="content.translations.delete",
            summary="Remove the texts and the body of a node in one locale",
            input=schemas.TranslationReference,
            handler=service.delete_translation,
            route="DELETE /nodes/{node_id}/translations/{locale}",
            errors=(errors.NodeNotFound, errors.TranslationNotFound, errors.LastTranslation),
        ),
        _change(
            name="content.bodies.set",
            summary="Set the body of a node in one locale",
            input=schemas.SetBody,
            handler=service.set_body,
            route="PUT /nodes/{node_id}/bodies/{locale}",
            errors=(errors.NodeNotFound, errors.TranslationNotFound),
        ),
    ),
    queries=(
        Query(
            name="content.nodes.list",
            summary="List nodes, newest first",
            permission="content.nodes.read",
            input=schemas.ListNodes,
            result=schemas.NodePage,
            handler=service.list_nodes,
            route="GET /nodes",
        ),
        Query(
            name="content.nodes.get",
            summary="Read a node with its bodies",
            permission="content.nodes.read",
            input=schemas.GetNode,
            result=schemas.NodeWithBodies,
            handler=service.get_node,
            route="GET /nodes/{node_id}",
            errors=(errors.NodeNotFound,),
        ),
    ),
    projections=(INDEX_CONTENT,),
    tables=("nodes", "node_translations", "bodies"),
)
