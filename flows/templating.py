"""Pages and pictures from templates; whatever people named or wrote is escaped."""

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

_TEMPLATES: Final = Environment(
    loader=PackageLoader("flows"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def render(template: str, /, **values: Any) -> str:
    """Fill a template of `flows/templates`."""
    return _TEMPLATES.get_template(template).render(**values)
