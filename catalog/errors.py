"""Every error that the catalog raises to a caller, each with a stable code.

The texts a clerk reads stand in `yidao.node.messages`, keyed by `code`; the
`params` of each class are named in its docstring. A payload's value is never
a parameter: it may be personal, and it may be ten megabytes long.
"""

from yidao.api.errors import YidaoError


class CatalogError(YidaoError):
    """The base of the errors of this package; never raised itself."""

    code = "CATALOG_ERROR"


class PackInvalid(CatalogError):
    """A pack's bytes break the format or a promise. Params: at (path in the file), reason."""

    code = "PACK_INVALID"


class PackUnknown(CatalogError):
    """No version of this pack is known here. Params: pack."""

    code = "PACK_UNKNOWN"
    # A pack travels downward on its own lane and may still be on its way.
    retryable = True


class PackNotInForce(CatalogError):
    """The pack is known, but no version is valid on that day. Params: pack, on."""

    code = "PACK_NOT_IN_FORCE"
    retryable = True


class PackConflict(CatalogError):
    """Two different files claim one version of one pack. Params: pack, version."""

    code = "PACK_CONFLICT"


class FormUnknown(CatalogError):
    """The pack has no such form. Params: pack, form."""

    code = "FORM_UNKNOWN"


class FieldUnknown(CatalogError):
    """The form has no such field. Params: form, field."""

    code = "FIELD_UNKNOWN"


class SchemaUnknown(CatalogError):
    """A record names a schema that no held pack defines. Params: schema."""

    code = "SCHEMA_UNKNOWN"
    retryable = True


class SchemaMismatch(CatalogError):
    """A record names a schema by another digest than the held pack's. Params: schema."""

    code = "SCHEMA_MISMATCH"


class PayloadInvalid(CatalogError):
    """The bytes are not one flat JSON object within the limits. Params: reason."""

    code = "PAYLOAD_INVALID"


class NumberInvalid(CatalogError):
    """A text is no decimal of the declared precision and scale. Params: reason."""

    code = "NUMBER_INVALID"


class NumberOverflow(CatalogError):
    """A sum leaves the range that is stored (a signed 64-bit integer). Params: none."""

    code = "NUMBER_OVERFLOW"


class PeriodInvalid(CatalogError):
    """A text is no period, or the period lies outside 1980 to 2199. Params: reason."""

    code = "PERIOD_INVALID"


class CodeInvalid(CatalogError):
    """A code cannot be made or checked from what was given. Params: kind."""

    code = "CODE_INVALID"


class RegionUnknown(CatalogError):
    """No such division in the tree. Params: region."""

    code = "REGION_UNKNOWN"


class RegionDataInvalid(CatalogError):
    """A line of the division files breaks their format. Params: line, reason."""

    code = "REGION_DATA_INVALID"


class RollupMismatch(CatalogError):
    """Two roll-ups hold one field in ways that cannot be added. Params: form, field."""

    code = "ROLLUP_MISMATCH"


class ResourceMalformed(CatalogError):
    """The bytes are no resource of the catalog. Params: field."""

    code = "RESOURCE_MALFORMED"


class ResourceInvalid(CatalogError):
    """A resource lacks something or breaks a list. Params: code, faults (how many), first."""

    code = "RESOURCE_INVALID"


class ClassCodeInvalid(CatalogError):
    """A 类项目细目 code cannot be formed or has another form. Params: field."""

    code = "CLASS_CODE_INVALID"


class SearchInvalid(CatalogError):
    """A search of the catalog cannot be run as it stands. Params: field, limit."""

    code = "SEARCH_INVALID"
