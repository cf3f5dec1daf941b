"""What a hook may import: chosen names of a few modules, never a module itself.

Of 34 harmless-looking modules of the standard library 15 lead to `sys`, `os` or `builtins` without an underscore
(`json.codecs.open`), so each name is here because somebody looked at it.
"""

from collections.abc import Mapping

IMPORTABLE: Mapping[str, frozenset[str]] = {
    module: frozenset(names.split())
    for module, names in {
        "collections": "ChainMap Counter OrderedDict defaultdict deque",
        "datetime": "UTC date datetime time timedelta timezone",
        "decimal": "Decimal ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP "
        "ROUND_UP",
        "hashlib": "blake2b md5 sha1 sha256 sha512",
        "itertools": "accumulate chain combinations count cycle dropwhile groupby islice pairwise permutations "
        "product repeat starmap takewhile zip_longest",
        "json": "dumps loads",
        "math": "ceil comb copysign cos degrees dist e exp fabs factorial floor fmod fsum gcd hypot inf isclose "
        "isfinite isinf isnan isqrt lcm log log10 log2 modf nan perm pi pow prod radians sin sqrt tan tau trunc",
        "random": "choice choices gauss randint random randrange sample shuffle uniform",
        "re": "ASCII DOTALL IGNORECASE MULTILINE VERBOSE compile escape findall finditer fullmatch match search split "
        "sub subn",
        "textwrap": "dedent fill indent shorten wrap",
    }.items()
}
