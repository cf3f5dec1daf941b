"""Blog: posts, which are nodes of content. It has permissions and routes of its own, and no tables."""
