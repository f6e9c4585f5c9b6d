"""CloudWatch's query languages, as its documentation defines them.

Metrics Insights, metric math, SEARCH expressions and the JSON patterns of metric filters.
"""

from __future__ import annotations

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

RESERVED = "SELECT|FROM|WHERE|AND|OR|NOT|IN|LIKE|GROUP|BY|ORDER|LIMIT|SCHEMA"
METRICS_INSIGHTS = rf"""
    query: "SELECT"i FUNCTION "(" name ")" "FROM"i source where? group? order? limit?
    source: name | "SCHEMA"i "(" name ("," name)* ")"
    where: "WHERE"i condition ("AND"i condition)*
    condition: name ("=" | "!=") VALUE
    group: "GROUP"i "BY"i name ("," name)*
    order: "ORDER"i "BY"i FUNCTION "(" ")" ("ASC"i | "DESC"i)?
    limit: "LIMIT"i INT
    name: NAME | QUOTED
    FUNCTION.2: /(AVG|COUNT|MAX|MIN|SUM)(?=\s*\()/i
    NAME: /(?!(?:{RESERVED})\b)[A-Za-z_][A-Za-z0-9_]*/i
    QUOTED: /"[^"]+"/
    VALUE: /'(?:[^']|'')*'/
    %import common (INT, WS)
    %ignore WS
"""

FUNCTIONS = (
    "ABS|ANOMALY_DETECTION_BAND|AVG|CEIL|DATAPOINT_COUNT|DATE|DAY|DB_PERF_INSIGHTS|DIFF|DIFF_TIME"
    "|EPOCH|FILL|FIRST|FLOOR|HOUR|IF|INSIGHT_RULE_METRIC|LAMBDA|LAST|LOG|LOG10|MAX|METRICS"
    "|METRIC_COUNT|MIN|MINUTE|MONTH|PERIOD|RATE|REMOVE_EMPTY|RUNNING_SUM|SEARCH|SERVICE_QUOTA"
    "|SLICE|SORT|STDDEV|SUM|TIME_SERIES|YEAR"
)
METRIC_MATH = rf"""
    ?expression: conjunction (("OR" | "||") conjunction)*
    ?conjunction: comparison (("AND" | "&&") comparison)*
    ?comparison: sum (COMPARISON sum)?
    ?sum: product (("+" | "-") product)*
    ?product: power (("*" | "/") power)*
    ?power: unary ("^" unary)*
    ?unary: "-" unary | atom
    ?atom: NUMBER | ID | TEXT | call | array | "(" expression ")"
    array: "[" expression ("," expression)* "]"
    call: FUNCTION "(" (argument ("," argument)*)? ")"
    ?argument: KEYWORD | expression
    COMPARISON: "==" | "!=" | "<=" | ">=" | "<" | ">"
    FUNCTION: /(?:{FUNCTIONS})(?=\s*\()/
    KEYWORD: "REPEAT" | "LINEAR" | "ASC" | "DESC"
    ID: /[a-z][A-Za-z0-9_]*/
    TEXT: /"[^"]*"/ | /'[^']*'/
    %import common (NUMBER, WS)
    %ignore WS
"""

SEARCH = r"""
    search: "{" name ("," name)* "}" terms?
    terms: sequence ("OR" sequence)*
    sequence: unit ("AND"? unit)*
    ?unit: "NOT" unit | "(" terms ")" | property | WORD | QUOTED
    property: KEY (WORD | QUOTED | "(" terms ")")
    name: NAME | QUOTED
    KEY.2: /(?:[A-Za-z_]\w*|"[^"]+")\s*=/
    NAME: /[A-Za-z0-9_\/.:#-]+/
    WORD: /(?!(?:AND|OR|NOT)\b)[A-Za-z0-9_\/.:#-]+/
    QUOTED: /"[^"]+"/
    %import common.WS
    %ignore WS
"""

FILTER = r"""
    filter: "{" any "}"
    ?any: all ("||" all)*
    ?all: unit ("&&" unit)*
    ?unit: comparison | "(" any ")"
    comparison: SELECTOR OPERATOR value -> compared
              | SELECTOR "IS" STATE -> state
              | SELECTOR "NOT" "EXISTS" -> absent
    value: NUMBER | STRING | WORD
    SELECTOR: /\$(?:\.[A-Za-z_][\w-]*|\['[^']+'\]|\[\d+\]|\.\*)+/
    OPERATOR: "=" | "!=" | "<=" | ">=" | "<" | ">"
    STATE: "TRUE" | "FALSE" | "NULL"
    NUMBER.2: /-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.*-])/i
    STRING: /"[^"]*"/
    WORD: /[\w.*-]+/
    %import common.WS
    %ignore WS
"""

SEARCH_LIMIT = 1024
FILTER_LIMIT = 1024
ROWS_LIMIT = 500

_METRICS_INSIGHTS = Lark(METRICS_INSIGHTS, start="query", parser="lalr")
_METRIC_MATH = Lark(METRIC_MATH, start="expression", parser="lalr")
_SEARCH = Lark(SEARCH, start="search", parser="lalr")
_FILTER = Lark(FILTER, start="filter", parser="lalr")

Parsed = Tree[Token]


class QueryInvalid(Exception):
    """CloudWatch would refuse the query; the message says where and why."""


def parse_metrics_insights(query: str) -> Parsed:
    """A ``SELECT``; its conditions are ``=`` and ``!=``, joined only by AND."""
    parsed = _parse(_METRICS_INSIGHTS, query, "a Metrics Insights query")
    for limit in parsed.find_data("limit"):
        if not 1 <= int(str(limit.children[0])) <= ROWS_LIMIT:
            raise QueryInvalid(f"LIMIT is {limit.children[0]}, expected 1 to {ROWS_LIMIT}")
    return parsed


def parse_metric_math(expression: str) -> Parsed | Token:
    """A metric-math expression, including SEARCH expressions in it."""
    parsed = _parse(_METRIC_MATH, expression, "a metric-math expression")
    if isinstance(parsed, Token):
        return parsed
    for call in parsed.find_data("call"):
        if call.children[0] == "SEARCH":
            parse_search(str(call.children[1])[1:-1])
    return parsed


def parse_search(search: str) -> Parsed:
    """The quoted text of ``SEARCH``: a schema in braces, and terms."""
    if len(search) > SEARCH_LIMIT:
        raise QueryInvalid(
            f"the search has {len(search)} characters, expected {SEARCH_LIMIT} or less"
        )
    return _parse(_SEARCH, search, "a SEARCH expression")


def parse_filter(pattern: str) -> Parsed:
    """A metric filter's pattern for JSON lines; all of ours are such."""
    if len(pattern) > FILTER_LIMIT:
        raise QueryInvalid(
            f"the pattern has {len(pattern)} characters, expected {FILTER_LIMIT} or less"
        )
    return _parse(_FILTER, pattern, "a filter pattern for JSON lines")


def names_in(expression: Parsed | Token) -> set[str]:
    """The ids that a metric-math expression uses."""
    tokens = [expression] if isinstance(expression, Token) else expression.scan_values(_is_token)
    return {str(token) for token in tokens if token.type == "ID"}


def calls_in(expression: Parsed | Token) -> set[str]:
    """The functions that a metric-math expression calls."""
    if isinstance(expression, Token):
        return set()
    return {str(call.children[0]) for call in expression.find_data("call")}


def _is_token(value: object) -> bool:
    return isinstance(value, Token)


def _parse(language: Lark, text: str, what: str) -> Parsed:
    try:
        return language.parse(text)
    except UnexpectedInput as error:
        ends = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        rest = "end here" if ends else f"continue with: {text[error.pos_in_stream or 0 :][:30]}"
        raise QueryInvalid(f"{text!r} isn't {what}: it can't {rest}") from None
