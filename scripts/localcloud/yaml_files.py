"""Reads YAML, and CloudFormation's, with libyaml: ten times as fast as PyYAML's own parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor

if TYPE_CHECKING:
    from yaml import SafeLoader
else:
    # Without libyaml, PyYAML has no such class.
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _TemplateLoader(SafeLoader):
    """Reads CloudFormation's short tags (``!Sub``) in their long form."""


_TemplateLoader.add_multi_constructor("!", intrinsics_multi_constructor)


def load_yaml(text: str) -> Any:
    """A YAML or JSON document."""
    return yaml.load(text, SafeLoader)  # noqa: S506  # it is one


def load_template(text: str) -> Any:
    """A CloudFormation or SAM template, with its short tags in their long form."""
    return yaml.load(text, _TemplateLoader)  # noqa: S506  # safe, too
