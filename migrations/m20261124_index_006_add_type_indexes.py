"""Let a listing of one product type be read from an index, newest first and by price."""

from alembic import op

revision = "m20261124_index_006"
down_revision = "m20261124_outbox_007"


def upgrade() -> None:
    for name, order in {
        "type_newest": "published_at DESC, product_id DESC",
        "type_price": "price_min, product_id",
    }.items():
        op.execute(f"CREATE INDEX index_products_{name} ON index_products (tenant_id, locale, product_type, {order})")
