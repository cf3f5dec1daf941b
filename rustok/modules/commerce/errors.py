"""What can go wrong in commerce."""

from rustok.kernel.errors import Conflict, InvalidInput, NotFound


class ProductNotFound(NotFound):
    """The tenant has no product with this id."""

    code = "product_not_found"


class VariantNotFound(NotFound):
    """The product has no variant with this id."""

    code = "variant_not_found"


class TranslationNotFound(NotFound):
    """The product has no texts in this locale."""

    code = "translation_not_found"


class PriceNotFound(NotFound):
    """The variant has no price in this currency."""

    code = "price_not_found"


class DuplicateHandle(Conflict):
    """Another product has this handle in this locale."""

    code = "duplicate_handle"


class DuplicateSku(Conflict):
    """Another variant has this SKU."""

    code = "duplicate_sku"


class DuplicateOptions(Conflict):
    """Another variant of the product has the same option values."""

    code = "duplicate_options"


class ProductPublished(Conflict):
    """A published product cannot be deleted: unpublish it first."""

    code = "product_published"


class LastTranslation(Conflict):
    """A product keeps at least one translation."""

    code = "last_translation"


class ImportOutOfStep(Conflict):
    """Somebody else imports the same source: these lines are done, or earlier ones are not."""

    code = "import_out_of_step"


class OptionsMismatch(InvalidInput):
    """A variant's option values are not choices of the product's options."""

    code = "options_mismatch"
