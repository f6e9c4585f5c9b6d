"""Reads a Parquet file's footer: its columns, how they are stored, its rows and its dates.

The footer is Thrift in its compact encoding, and can be anything that somebody has uploaded.
Nothing in it is trusted before it is checked: lengths and counts against the bytes that are left,
depth and number of columns against limits. Only the schema's elements and one record per stored
column become objects, so memory grows with the columns and time with the bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

MAGIC = b"PAR1"
ENCRYPTED_MAGIC = b"PARE"
FOOTER_END_BYTES = 8
MOST_FOOTER_BYTES = 8 * 1024 * 1024
"""A footer of 3,000 columns in 10 row groups takes 3 MB."""

MOST_VALUES = 3_000_000
"""The most fields and list values that are read, which takes about two seconds. A footer of 3,000
columns in 10 row groups has 1,100,000."""

MOST_ELEMENTS = 20_000
"""The most elements of a schema: columns, groups and their members."""

DEEPEST = 32
"""How deep lists and structs may nest; the format's own nest ten deep."""

LONGEST_VARINT = 10
"""The most bytes that a 64-bit number takes."""

PHYSICAL = ("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED")
LOGICAL = {
    1: "STRING",
    4: "ENUM",
    5: "DECIMAL",
    6: "DATE",
    7: "TIME",
    8: "TIMESTAMP",
    10: "INTEGER",
    11: "NULL",
    12: "JSON",
    13: "BSON",
    14: "UUID",
}
LAST_LOGICAL = 15
"""FLOAT16; VARIANT, GEOMETRY and GEOGRAPHY came later."""

CONVERTED = {0: "STRING", 4: "ENUM", 5: "DECIMAL", 6: "DATE", 9: "TIMESTAMP", 10: "TIMESTAMP"}
CONVERTED |= dict.fromkeys((7, 8), "TIME") | dict.fromkeys(range(15, 19), "INTEGER")
CONVERTED |= {11: "UINT_8", 12: "UINT_16", 13: "UINT_32", 14: "UINT_64", 19: "JSON", 20: "BSON"}
UNITS = {1: "MILLIS", 2: "MICROS", 3: "NANOS"}
CONVERTED_UNITS = {9: "MILLIS", 10: "MICROS"}
REQUIRED, OPTIONAL, REPEATED = range(3)
CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW")
ENCODINGS = {
    0: "PLAIN",
    2: "PLAIN_DICTIONARY",
    3: "RLE",
    4: "BIT_PACKED",
    5: "DELTA_BINARY_PACKED",
    6: "DELTA_LENGTH_BYTE_ARRAY",
    7: "DELTA_BYTE_ARRAY",
    8: "RLE_DICTIONARY",
    9: "BYTE_STREAM_SPLIT",
}

# Field numbers in the format's parquet.thrift
# FileMetaData
SCHEMA, FILE_ROWS, ROW_GROUPS, CREATED_BY = 2, 3, 4, 6
# SchemaElement
TYPE, TYPE_LENGTH, REPETITION, NAME, CHILDREN, CONVERTED_TYPE = 1, 2, 3, 4, 5, 6
SCALE, PRECISION, LOGICAL_TYPE = 7, 8, 10
ELEMENT_NUMBERS = frozenset(
    {TYPE, TYPE_LENGTH, REPETITION, CHILDREN, CONVERTED_TYPE, SCALE, PRECISION}
)
# DecimalType, TimestampType and IntType, which are logical types
DECIMAL, DECIMAL_SCALE, DECIMAL_PRECISION = 5, 1, 2
TIMESTAMP, TIMESTAMP_UNIT = 8, 2
INTEGER, BIT_WIDTH, IS_SIGNED = 10, 1, 2
# RowGroup, ColumnChunk and ColumnMetaData
CHUNKS, GROUP_ROWS = 1, 3
OTHER_FILE, CHUNK_METADATA, ENCRYPTION, ENCRYPTED_METADATA = 1, 3, 8, 9
CHUNK_ENCODINGS, PATH, CODEC, CHUNK_VALUES, STATISTICS = 2, 3, 4, 5, 12
# Statistics; writers of old used the first two
OLD_MAX, OLD_MIN, NULL_COUNT, MAX, MIN, MAX_IS_EXACT, MIN_IS_EXACT = 1, 2, 3, 5, 6, 7, 8
NUMBER_BYTES = (4, 8)
MOST_CREATOR_BYTES = 1024
MOST_BOUND_BYTES = 1025
"""Of a bound that is compared with a folder's value; an object's name has at most 1,024."""

# Types of the compact encoding
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, STRUCT = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    12,
)
NUMBERS = frozenset({I16, I32, I64})
KINDS = frozenset({TRUE, FALSE, BYTE, *NUMBERS, DOUBLE, BINARY, LIST, SET, STRUCT})


class ParquetColumn(NamedTuple):
    """A top-level column: its physical type ("GROUP" when nested) and its logical one, or "".

    ``precision`` and ``scale`` are a decimal's, in digits; ``length`` is that of FIXED, in bytes;
    ``unit`` is a timestamp's.
    """

    physical: str
    logical: str
    precision: int = 0
    scale: int = 0
    length: int = 0
    unit: str = ""
    is_required: bool = False
    is_repeated: bool = False

    @property
    def is_nested(self) -> bool:
        """Whether a row has more than one value in it, or none."""
        return self.physical == "GROUP" or self.is_repeated

    def __str__(self) -> str:
        """The types under the format's names, such as ``FIXED DECIMAL(10,2)``."""
        physical = f"REPEATED {self.physical}" if self.is_repeated else self.physical
        if self.logical == "DECIMAL":
            return f"{physical} DECIMAL({self.precision},{self.scale})"
        return f"{physical} {self.logical}".rstrip()


class Storage:
    """How a top-level column is stored, over all row groups, and what its values are.

    ``least`` and ``most`` bound the values of a column of integers, such as dates and timestamps,
    unless ``is_bounded`` is false; both are None when all values are NULL. ``values`` is how many
    values it has, NULLs included. ``bounds`` are the least and the greatest value of each row group
    as they are stored, and None for NULL; None when they are unknown or nobody has asked for them.
    """

    __slots__ = (
        "bounds",
        "codecs",
        "encodings",
        "is_bounded",
        "is_elsewhere",
        "is_encrypted",
        "least",
        "most",
        "values",
    )

    def __init__(self, *, keeps_bounds: bool = False) -> None:
        self.codecs: set[str] = set()
        self.encodings: set[str] = set()
        self.is_encrypted = False
        self.is_elsewhere = False
        self.is_bounded = True
        self.least: int | None = None
        self.most: int | None = None
        self.values = 0
        self.bounds: set[bytes | None] | None = set() if keeps_bounds else None

    def add_values(self, values: int | None, statistics: dict[int, bytes | int]) -> None:
        """Take in what a row group says of its values."""
        self.values += max(0, values or 0)
        if values == statistics.get(NULL_COUNT, 0 if values == 0 else None):
            return
        bounds = [
            int.from_bytes(value, "little", signed=True)
            for value in (
                statistics.get(MIN, statistics.get(OLD_MIN)),
                statistics.get(MAX, statistics.get(OLD_MAX)),
            )
            if isinstance(value, bytes) and len(value) in NUMBER_BYTES
        ]
        if values is None or len(bounds) != 2 or bounds[0] > bounds[1]:
            self.is_bounded = False
            return
        self.least = min(bounds[0], self.least if self.least is not None else bounds[0])
        self.most = max(bounds[1], self.most if self.most is not None else bounds[1])

    def add_bounds(self, values: int | None, statistics: dict[int, bytes | int]) -> None:
        """Take in the bounds of a row group's values."""
        nulls = statistics.get(NULL_COUNT)
        if self.bounds is None or values == 0:
            return
        least = statistics.get(MIN, statistics.get(OLD_MIN))
        most = statistics.get(MAX, statistics.get(OLD_MAX))
        is_exact = statistics.get(MIN_IS_EXACT, 1) and statistics.get(MAX_IS_EXACT, 1)
        if values is None or not isinstance(nulls, int):
            self.bounds = None
        elif nulls == values:
            self.bounds.add(None)
        elif isinstance(least, bytes) and isinstance(most, bytes) and is_exact:
            self.bounds |= {least, most, *([None] if nulls else [])}
            # More than two can't be one value.
            self.bounds = set(sorted(self.bounds, key=repr)[:3])
        else:
            self.bounds = None


class Footer(NamedTuple):
    """What a footer says about its file; columns have their names as Athena sees them.

    ``repeated_names`` are, by that name, a column's names in the file when it occurs more than
    once; Athena reads the first. ``created_by`` is the writer. ``without_repetition`` is the first
    column of which something doesn't say whether it may be NULL, ``of_later_type`` the first with a
    logical type that came after ``LAST_LOGICAL``; or "".
    """

    columns: dict[str, ParquetColumn]
    storage: dict[str, Storage]
    rows: int
    repeated_names: dict[str, list[str]]
    created_by: str
    without_repetition: str
    of_later_type: str

    @property
    def has_rows(self) -> bool:
        """Whether the file has rows."""
        return self.rows > 0


class _Element(NamedTuple):
    """An element of the schema, which lists a tree depth first."""

    name: str
    column: ParquetColumn
    children: int
    has_repetition: bool
    is_of_later_type: bool


def footer_size(tail: bytes) -> int:
    """How many bytes at the file's end the footer takes; ``tail`` is the end, of any length.

    Raises ``ValueError`` when the file doesn't end as Parquet does, or claims a footer that is
    larger than ``MOST_FOOTER_BYTES``.
    """
    if tail.endswith(ENCRYPTED_MAGIC):
        raise ValueError("its footer is encrypted")
    if len(tail) < FOOTER_END_BYTES or not tail.endswith(MAGIC):
        raise ValueError("it doesn't end with Parquet's magic bytes")
    size = int.from_bytes(tail[-8:-4], "little")
    if size > MOST_FOOTER_BYTES:
        raise ValueError(
            f"it claims a footer of {size:,} bytes, and at most {MOST_FOOTER_BYTES:,} are read"
        )
    return size + FOOTER_END_BYTES


def read_footer(tail: bytes, bounds_of: Collection[str] = ()) -> Footer:
    """What the footer says; ``tail`` holds at least ``footer_size`` bytes.

    ``bounds_of`` names the columns whose bounds are kept, whatever their type.

    Raises ``ValueError`` when the footer can't be read, and nothing else, whatever the bytes are.
    """
    size = footer_size(tail)
    if size > len(tail):
        raise ValueError(f"it claims a footer of {size - FOOTER_END_BYTES:,} bytes and is shorter")
    cursor = _Cursor(tail[-size:-FOOTER_END_BYTES], bounds_of)
    schema = _Schema(cursor.read_file_metadata())
    return Footer(
        schema.columns,
        cursor.storage,
        cursor.rows,
        schema.repeated_names,
        cursor.created_by,
        schema.without_repetition,
        schema.of_later_type,
    )


FOLDED = str.maketrans({"\u0131": "i", "\u017f": "s", "\u212a": "k"})
"""The letters that aren't ASCII and equal an ASCII letter when case is ignored as Java does it."""


def fold_name(name: str) -> str:
    """A column's name as Athena sees it, for which capital letters don't matter."""
    return name.lower() if name.isascii() else name.translate(FOLDED).lower()


class _Schema:
    """What the schema's elements say; the fields are those of ``Footer``."""

    def __init__(self, elements: Iterator[_Element]) -> None:
        self.columns: dict[str, ParquetColumn] = {}
        self.repeated_names: dict[str, list[str]] = {}
        self.without_repetition = self.of_later_type = ""
        root = next(elements, None)
        if root is None:
            raise _damaged("it has no schema")
        names: dict[str, str] = {}
        for _ in range(root.children):
            element = _next(elements)
            self._look_at(element, element.name)
            name = fold_name(element.name)
            if name in names:
                self.repeated_names.setdefault(name, [names[name]]).append(element.name)
            else:
                self.columns[name], names[name] = element.column, element.name
            pending = element.children
            while pending:
                part = _next(elements)
                self._look_at(part, element.name)
                pending += part.children - 1
        if next(elements, None) is not None:
            raise _damaged("its schema has more elements than it claims")

    def _look_at(self, element: _Element, column: str) -> None:
        if not element.has_repetition:
            self.without_repetition = self.without_repetition or column
        if element.is_of_later_type:
            self.of_later_type = self.of_later_type or column


def _next(elements: Iterator[_Element]) -> _Element:
    element = next(elements, None)
    if element is None:
        raise _damaged("its schema has fewer elements than it claims")
    return element


def _physical(value: int | None) -> str:
    if value is None:
        return "GROUP"
    if not 0 <= value < len(PHYSICAL):
        raise _damaged(f"{value} is no physical type")
    return PHYSICAL[value]


def _damaged(how: str) -> ValueError:
    return ValueError(f"its footer is damaged: {how}")


class _Cursor:
    """Reads FileMetaData from front to back and skips what isn't needed."""

    def __init__(self, data: bytes, bounds_of: Collection[str] = ()) -> None:
        self._data = data
        self._bounds_of = bounds_of
        self._position = 0
        self._values_left = MOST_VALUES
        self.storage: dict[str, Storage] = {}
        self.rows = 0
        self.created_by = ""

    def read_file_metadata(self) -> Iterator[_Element]:
        """The schema's elements in their order; sets ``storage``, ``rows`` and ``created_by``.

        Reads the whole struct first, because what follows the schema may be damaged, or be another
        schema. Bytes after the struct may be a signature.
        """
        elements: list[_Element] | None = None
        file_rows, group_rows = None, None
        for number, kind in self._fields():
            if number == SCHEMA:
                if elements is not None:
                    raise _damaged("it has two schemas")
                elements = self._elements(kind)
            elif number == FILE_ROWS and kind in NUMBERS:
                file_rows = self._zigzag()
            elif number == ROW_GROUPS:
                if group_rows is not None:
                    raise _damaged("it has two lists of row groups")
                group_rows = self._row_groups(kind)
            elif number == CREATED_BY and kind == BINARY:
                self.created_by = self._bytes(MOST_CREATOR_BYTES).decode(errors="replace")
            else:
                self._skip(kind, 1)
        # A file that doesn't say how many rows it has, or says nonsense, isn't taken for empty.
        said = 1 if file_rows is None or file_rows < 0 else file_rows
        self.rows = max(said, group_rows or 0)
        return iter(elements or ())

    def _elements(self, kind: int) -> list[_Element]:
        size = self._structs(kind, "its schema")
        if size > MOST_ELEMENTS:
            raise ValueError(
                f"its schema has {size:,} elements, and at most {MOST_ELEMENTS:,} are read"
            )
        return [self._element() for _ in range(size)]

    def _element(self) -> _Element:
        name, logical, is_later = None, "", False
        arguments: dict[int, int] = {}
        numbers: dict[int, int] = {}
        for number, kind in self._fields():
            if number == NAME and kind == BINARY:
                name = self._text("a name in its schema")
            elif number == LOGICAL_TYPE and kind == STRUCT:
                logical, is_later, arguments = self._logical_type()
            elif number in ELEMENT_NUMBERS and kind in NUMBERS:
                numbers[number] = self._zigzag()
            else:
                self._skip(kind, 3)
        if name is None:
            raise _damaged("an element of its schema has no name")
        children = numbers.get(CHILDREN, 0)
        if not 0 <= children <= MOST_ELEMENTS:
            raise _damaged(f"an element of its schema claims {children} children")
        unit = UNITS.get(arguments.get(TIMESTAMP_UNIT, 0), "") if logical == "TIMESTAMP" else ""
        if not logical and CONVERTED_TYPE in numbers:
            logical = CONVERTED.get(numbers[CONVERTED_TYPE], "OTHER")
            unit = CONVERTED_UNITS.get(numbers[CONVERTED_TYPE], "")
        decimal = arguments if logical == "DECIMAL" else {}
        column = ParquetColumn(
            _physical(numbers.get(TYPE)),
            logical,
            precision=decimal.get(DECIMAL_PRECISION, numbers.get(PRECISION, 0)),
            scale=decimal.get(DECIMAL_SCALE, numbers.get(SCALE, 0)),
            length=numbers.get(TYPE_LENGTH, 0),
            unit=unit,
            is_required=numbers.get(REPETITION) == REQUIRED,
            is_repeated=numbers.get(REPETITION) == REPEATED,
        )
        has_repetition = numbers.get(REPETITION) in (REQUIRED, OPTIONAL, REPEATED)
        return _Element(name, column, children, has_repetition, is_later)

    def _logical_type(self) -> tuple[str, bool, dict[int, int]]:
        """The name of the logical type that is set first, whether it is a later one, its arguments.

        The arguments are those of a decimal, a timestamp or an integer.
        """
        logical, is_later, arguments = "", False, {}
        for number, kind in self._fields():
            if logical or number not in (DECIMAL, TIMESTAMP, INTEGER) or kind != STRUCT:
                is_later |= not logical and not 1 <= number <= LAST_LOGICAL
                logical = logical or LOGICAL.get(number, "OTHER")
                self._skip(kind, 4)
                continue
            logical, arguments = LOGICAL[number], self._numbers()
            if number == INTEGER and not arguments.get(IS_SIGNED, 1):
                logical = f"UINT_{arguments.get(BIT_WIDTH, 0)}"
        return logical, is_later, arguments

    def _numbers(self) -> dict[int, int]:
        """The first two fields of a struct as far as they are numbers.

        A boolean is 1 or 0, and a union the number of the field that is set first.
        """
        numbers = {}
        for number, kind in self._fields():
            if number not in (1, 2):
                self._skip(kind, 5)
            elif kind in (TRUE, FALSE):
                numbers[number] = int(kind == TRUE)
            elif kind == BYTE:
                numbers[number] = self._byte()
            elif kind in NUMBERS:
                numbers[number] = self._zigzag()
            elif kind == STRUCT:
                numbers[number] = self._choice()
            else:
                self._skip(kind, 5)
        return numbers

    def _choice(self) -> int:
        """The number of the field that is set first; 0 if none is."""
        chosen = 0
        for number, kind in self._fields():
            chosen = chosen or number
            self._skip(kind, 6)
        return chosen

    def _row_groups(self, kind: int) -> int:
        """How many rows the row groups have."""
        rows = 0
        for _ in range(self._structs(kind, "its row groups")):
            for number, of_field in self._fields():
                if number == CHUNKS:
                    for _ in range(self._structs(of_field, "a row group's columns")):
                        self._chunk()
                elif number == GROUP_ROWS and of_field in NUMBERS:
                    rows += max(0, self._zigzag())
                else:
                    self._skip(of_field, 3)
        return rows

    def _chunk(self) -> None:
        """Record how one column of a row group is stored."""
        storage, is_encrypted, is_elsewhere = None, False, False
        for number, kind in self._fields():
            if number == CHUNK_METADATA and kind == STRUCT:
                storage = self._chunk_metadata()
                continue
            is_encrypted |= number in (ENCRYPTION, ENCRYPTED_METADATA)
            is_elsewhere |= number == OTHER_FILE
            self._skip(kind, 5)
        if storage is not None:
            storage.is_encrypted |= is_encrypted
            storage.is_elsewhere |= is_elsewhere

    def _chunk_metadata(self) -> Storage | None:
        name, codec = None, None
        encodings: set[str] = set()
        values: int | None = None
        statistics: dict[int, bytes | int] = {}
        for number, kind in self._fields():
            if number == CHUNK_VALUES and kind in NUMBERS:
                values = self._zigzag()
            elif number == STATISTICS and kind == STRUCT:
                statistics = self._statistics()
            elif number == PATH and kind == LIST:
                name = self._first_name()
            elif number == CODEC and kind in NUMBERS:
                value = self._zigzag()
                codec = CODECS[value] if 0 <= value < len(CODECS) else "an unknown codec"
            elif number == CHUNK_ENCODINGS and kind == LIST:
                encodings = self._encodings()
            else:
                self._skip(kind, 6)
        if name is None:
            return None
        if name not in self.storage and len(self.storage) >= MOST_ELEMENTS:
            raise _damaged("its row groups have more columns than its schema may have")
        storage = self.storage.setdefault(name, Storage(keeps_bounds=name in self._bounds_of))
        storage.encodings |= encodings
        if codec is not None:
            storage.codecs.add(codec)
        storage.add_values(values, statistics)
        storage.add_bounds(values, statistics)
        return storage

    def _encodings(self) -> set[str]:
        size, of_value = self._list_header()
        if size and of_value not in NUMBERS:
            raise _damaged("a column's encodings aren't numbers")
        return {ENCODINGS.get(self._zigzag(), "an unknown encoding") for _ in range(size)}

    def _statistics(self) -> dict[int, bytes | int]:
        """The bounds, as they are stored, and the number of NULLs, by the number of the field."""
        statistics: dict[int, bytes | int] = {}
        for number, kind in self._fields():
            if number == NULL_COUNT and kind in NUMBERS:
                statistics[number] = self._zigzag()
            elif number in (OLD_MAX, OLD_MIN, MAX, MIN) and kind == BINARY:
                statistics[number] = self._bytes(MOST_BOUND_BYTES)
            elif number in (MAX_IS_EXACT, MIN_IS_EXACT) and kind in (TRUE, FALSE):
                statistics[number] = int(kind == TRUE)
            else:
                self._skip(kind, 7)
        return statistics

    def _first_name(self) -> str | None:
        """The first name of a column's path: the top-level column."""
        size, kind = self._list_header()
        if size and kind != BINARY:
            raise _damaged("a column's path isn't a list of names")
        name = fold_name(self._text("a name in its row groups")) if size else None
        for _ in range(size - 1):
            self._skip_value(kind, 7)
        return name

    def _structs(self, kind: int, what: str) -> int:
        """The number of structs in the list that begins here."""
        if kind != LIST:
            raise _damaged(f"{what} isn't a list")
        size, of_value = self._list_header()
        if size and of_value != STRUCT:
            raise _damaged(f"{what} isn't a list of structs")
        return size

    def _fields(self) -> Iterator[tuple[int, int]]:
        """Number and type of each field of a struct; the caller reads or skips its value."""
        number = 0
        while kind := (header := self._byte()) & 0x0F:
            if kind not in KINDS:
                raise _damaged(f"it has an unknown type {kind}")
            number = number + (header >> 4) if header >> 4 else self._zigzag()
            self._spend(1)
            yield number, kind

    def _skip(self, kind: int, depth: int) -> None:
        """Skip a field's value."""
        if kind in (TRUE, FALSE):
            return  # A boolean field's value is its type.
        self._skip_value(kind, depth)

    def _skip_value(self, kind: int, depth: int) -> None:
        if kind in (TRUE, FALSE, BYTE):
            self._advance(1)
        elif kind in NUMBERS:
            self._varint()
        elif kind == DOUBLE:
            self._advance(8)
        elif kind == BINARY:
            self._advance(self._varint())
        elif depth >= DEEPEST:
            raise _damaged(f"it nests deeper than {DEEPEST}")
        elif kind == STRUCT:
            for _, of_field in self._fields():
                self._skip(of_field, depth + 1)
        else:
            size, of_value = self._list_header()
            if of_value in (TRUE, FALSE, BYTE):
                self._advance(size)
                return
            for _ in range(size):
                self._skip_value(of_value, depth + 1)

    def _list_header(self) -> tuple[int, int]:
        """The number of values, each of which takes at least a byte, and their type."""
        header = self._byte()
        size = header >> 4 if header >> 4 != 15 else self._varint()
        kind = header & 0x0F
        if size and kind not in KINDS:
            raise _damaged(f"it has an unknown type {kind}")
        self._require(size)
        self._spend(size)
        return size, kind

    def _spend(self, values: int) -> None:
        self._values_left -= values
        if self._values_left < 0:
            raise ValueError(
                f"its footer has more than {MOST_VALUES:,} values, and no more are read"
            )

    def _bytes(self, most: int) -> bytes:
        """The first ``most`` bytes of a value."""
        size = self._varint()
        start = self._position
        self._advance(size)
        return self._data[start : start + min(size, most)]

    def _text(self, what: str) -> str:
        size = self._varint()
        start = self._position
        self._advance(size)
        try:
            return self._data[start : self._position].decode()
        except UnicodeDecodeError:
            raise _damaged(f"{what} isn't UTF-8") from None

    def _byte(self) -> int:
        position = self._position
        if position >= len(self._data):
            raise _damaged("it claims more bytes than it has")
        self._position = position + 1
        return self._data[position]

    def _advance(self, size: int) -> None:
        self._require(size)
        self._position += size

    def _require(self, size: int) -> None:
        if size > len(self._data) - self._position:
            raise _damaged("it claims more bytes than it has")

    def _varint(self) -> int:
        value = self._byte()
        if value < 0x80:
            return value
        value &= 0x7F
        for shift in range(7, 7 * LONGEST_VARINT, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise _damaged("it has a number of more than 64 bits")

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
