"""Templates that reach for Python's internals are refused; honest ones pass."""

from __future__ import annotations

import pytest

from deltakit.errors import UnsafeError
from deltakit.merge.tokens.lint import MAX_TEMPLATE, check_template
from deltakit.merge.tokens.template import BUILT_IN

HONEST = (
    *BUILT_IN.values(),
    "",
    "plain __text__ outside of blocks {# a comment: x.__class__ #}",
    "{%- for m in messages %}{{ '<|im_start|>' + m['role'] + m['content'].split('</think>')[-1].lstrip('\\n') }}"
    "{%- endfor %}{% set ns = namespace(found=false, last_index=messages|length - 1) %}",
    "{% macro render(tool) -%}{{ tool | tojson(indent=4) }}{%- endmacro %}{{ raise_exception('No. __ ') }}",
    '{{ "{\\"name\\": <function-name>, \\"arguments\\": <args.json>}" }}{{ strftime_now("%d %b %Y") }}',
    "{{ 'an unclosed block",
)
TRICKS = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ x['__class__'] }}",
    "{{ messages | attr('_' ~ '_class_' ~ '_') }}",
    "{{ x | attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ x['\\u005f_class__'] }}",
    "{{ lipsum.config }}",
    "{{ cycler }}{{ joiner }}",
    "{{ self.environment }}",
    "{% set a = x. _hidden %}",
    "{{ f.gi_frame.f_globals }}",
    "{% include 'secret' %}",
    "{%- from 'x' import y -%}",
    "{# fine #}{{ 'a' }}{% if x %}{{ '{0.__class__}'.format(x) }}{% endif %}",
    "{{ '}}' ~ x.__class__ }}",
)


@pytest.mark.parametrize("text", HONEST)
def test_honest_templates_pass(text: str) -> None:
    check_template(text, "m")


@pytest.mark.parametrize("text", TRICKS)
def test_tricks_are_refused(text: str) -> None:
    with pytest.raises(UnsafeError, match="m: its chat template is not safe"):
        check_template(text, "m")


def test_giants_are_refused_and_read_in_no_time() -> None:
    with pytest.raises(UnsafeError, match="200001 characters"):
        check_template("x" * (MAX_TEMPLATE + 1), "m")
    check_template("{{ " + "''" * (MAX_TEMPLATE // 2 - 2), "m")
    check_template("{{ " + "'" * (MAX_TEMPLATE - 4), "m")
    check_template('{{ "' + "\\" * (MAX_TEMPLATE - 5), "m")
