"""The reference of the command line, made from the commands and from the shapes of their JSON."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import typer
from forecast_sync.contracts.base import Model
from forecast_sync_cli.commands.examples import EXAMPLES
from forecast_sync_cli.schemas import SHAPES


def write_reference() -> str:
    """A Markdown section for each command, then one for each shape."""
    lines = [line for name, command in find_commands() for line in _command(name, command)]
    lines += ["## Shapes", "", "Times are ISO 8601. `?` marks what may be null.", ""]
    for shape in _all_shapes():
        lines += _shape(shape)
    return "\n".join(lines)


def find_commands() -> list[tuple[str, Any]]:
    """Every command by its full name, groups that answer by themselves included."""
    from forecast_sync_cli.main import make_app

    return list(_walk("", typer.main.get_command(make_app())))


def _walk(prefix: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children or (prefix and command.invoke_without_command):
        yield prefix, command
    for name, child in children.items():
        yield from _walk(f"{prefix} {name}".strip(), child)


def _command(name: str, command: Any) -> Iterator[str]:
    yield from (f"### `forecast-sync {name}`", "")
    yield from ("\n".join(line.strip() for line in (command.help or "").splitlines()), "")
    options = [option for option in command.params if option.name != "help"]
    if options:
        yield from ("| argument or option | default | what it is |", "|---|---|---|")
        yield from (_option(option) for option in options)
        yield ""
    shapes = [key for key in SHAPES if key == name or key.startswith(f"{name} RUN")]
    for key in shapes:
        of_run = " with a run" if key.endswith(" RUN") else ""
        yield from (f"`--json`{of_run}: {_type(SHAPES[key])}", "")
    if name in EXAMPLES:
        yield from ("```console", *(f"$ {example}" for example in EXAMPLES[name]), "```", "")


def _option(option: Any) -> str:
    names = (
        option.name.upper()
        if option.param_type_name == "argument"
        else ", ".join([*option.opts, *option.secondary_opts])
    )
    default = getattr(option.default, "value", option.default)
    shown = "" if default is None or default is False else f"`{default}`"
    if option.required:
        shown = "*needed*"
    if option.envvar:
        shown = f"`${option.envvar}`, else {shown}"
    return f"| `{names}` | {shown} | {option.help or ''} |"


def _all_shapes() -> list[type[Model]]:
    """Every model that a shape is made of, each once, after the one that uses it."""
    found: dict[type[Model], None] = {}

    def add(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, Model):
            if annotation not in found:
                found[annotation] = None
                for field in annotation.model_fields.values():
                    add(field.annotation)
            return
        for argument in typing.get_args(annotation):
            add(argument)

    for shape in SHAPES.values():
        add(shape)
    return list(found)


def _shape(shape: type[Model]) -> Iterator[str]:
    yield from (f"### {shape.__name__}", "", (shape.__doc__ or "").splitlines()[0], "")
    yield from ("| key | type | what it is |", "|---|---|---|")
    for name, field in shape.model_fields.items():
        yield f"| `{name}` | {_type(field.annotation)} | {field.description or ''} |"
    yield ""


def _type(annotation: Any) -> str:
    arguments = typing.get_args(annotation)
    if isinstance(annotation, type) and not arguments:
        if issubclass(annotation, Model):
            return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
        return {"str": "text", "int": "number", "float": "number", "bool": "true or false"}.get(
            annotation.__name__,
            "time" if annotation.__name__ in ("datetime", "AwareDatetime") else "any",
        )
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (list, tuple):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"object of {_type(arguments[1])}"
    if origin is typing.Annotated:
        return _type(arguments[0])
    if type(None) in arguments:
        return " or ".join(_type(item) for item in arguments if item is not type(None)) + "?"
    return " or ".join(map(_type, arguments)) if arguments else "any"
