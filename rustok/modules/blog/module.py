"""Descriptor of the blog module."""

from functools import partial

from rustok.kernel.module import Command, Module, ModuleKind, Query
from rustok.kernel.permission import Permission
from rustok.modules import content
from rustok.modules.blog import schemas, service

_change = partial(Command, permission="blog.posts.write", result=schemas.Post, checks_version=True)
_publication = partial(
    Command,
    permission="blog.posts.publish",
    input=schemas.PostReference,
    result=schemas.Post,
    errors=(content.NodeNotFound,),
)

BLOG = Module(
    name="blog",
    kind=ModuleKind.WRAPPER,
    summary="Posts: content of one kind.",
    depends_on=("content",),
    permissions=(
        Permission("blog.posts.read", "Read posts, also drafts"),
        Permission("blog.posts.write", "Create, change and delete posts", may_be_own=True),
        Permission("blog.posts.publish", "Publish and unpublish posts", may_be_own=True),
    ),
    commands=(
        Command(
            name="blog.posts.create",
            summary="Create a post, as a draft",
            permission="blog.posts.write",
            input=schemas.CreatePost,
            result=schemas.Post,
            handler=service.create_post,
            route="POST /posts",
            status=201,
            location="/posts/{id}",
            errors=(content.DuplicateSlug,),
        ),
        _change(
            name="blog.posts.update",
            summary="Change fields of a post",
            input=schemas.UpdatePost,
            handler=service.update_post,
            route="PATCH /posts/{post_id}",
            errors=(content.NodeNotFound,),
        ),
        _publication(
            name="blog.posts.publish",
            summary="Let the storefront show a post",
            handler=service.publish_post,
            route="POST /posts/{post_id}/publish",
        ),
        _publication(
            name="blog.posts.unpublish",
            summary="Take a post off the storefront",
            handler=service.unpublish_post,
            route="POST /posts/{post_id}/unpublish",
        ),
        _change(
            name="blog.posts.delete",
            summary="Delete an unpublished post",
            input=schemas.PostReference,
            result=schemas.DeletedPost,
            handler=service.delete_post,
            route="DELETE /posts/{post_id}",
            errors=(content.NodeNotFound, content.NodePublished),
        ),
        _change(
            name="blog.translations.set",
            summary="Set title, slug and excerpt of a post in one locale",
            input=schemas.SetPostTranslation,
            handler=service.set_translation,
            route="PUT /posts/{post_id}/translations/{locale}",
            errors=(content.NodeNotFound, content.DuplicateSlug),
        ),
        _change(
            name="blog.translations.delete",
            summary="Remove the texts and the body of a post in one locale",
            input=schemas.PostTranslationReference,
            handler=service.delete_translation,
            route="DELETE /posts/{post_id}/translations/{locale}",
            errors=(content.NodeNotFound, content.TranslationNotFound, content.LastTranslation),
        ),
        _change(
            name="blog.bodies.set",
            summary="Set the body of a post in one locale",
            input=schemas.SetPostBody,
            handler=service.set_body,
            route="PUT /posts/{post_id}/bodies/{locale}",
            errors=(content.NodeNotFound, content.TranslationNotFound),
        ),
    ),
    queries=(
        Query(
            name="blog.posts.list",
            summary="List posts, newest first",
            permission="blog.posts.read",
            input=schemas.ListPosts,
            result=schemas.PostPage,
            handler=service.list_posts,
            route="GET /posts",
        ),
        Query(
            name="blog.posts.get",
            summary="Read a post with its bodies",
            permission="blog.posts.read",
            input=schemas.GetPost,
            result=schemas.PostWithBodies,
            handler=service.get_post,
            route="GET /posts/{post_id}",
            errors=(content.NodeNotFound,),
        ),
    ),
)
