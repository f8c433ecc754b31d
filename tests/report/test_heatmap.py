"""The heat map of change."""

import numpy as np

from deltakit.report.comparison import read_comparison
from deltakit.report.heatmap import draw, section
from support.results import comparison


def test_numbers_stand_in_cells_and_table():
    found = read_comparison(comparison(4), "here")
    made = section(found, 2)
    assert made.columns == ("layer", "mlp.down_proj", "mlp.up_proj", "self_attn.q_proj")
    assert made.rows[0] == ("0", "0.0100", "0.0200", "0.0300")
    assert made.rows[-1] == ("model.embed_tokens.weight", "0.5000", "", "")
    assert made.picture.stem == "norms-2"
    assert "from base to math" in made.text
    axes = draw(found).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), found.grid())
    assert len(axes.texts) == 12


def test_many_cells_are_not_written_over():
    assert len(draw(read_comparison(comparison(80), "here")).axes[0].texts) == 0


def test_a_missing_cell_is_a_dash():
    given = comparison(2)
    del given["tensors"][-1]
    found = read_comparison(given, "here")
    assert section(found).rows[1][-1] == "-"
    assert len(draw(found).axes[0].texts) == 5


def test_without_layers_there_is_a_table_alone():
    made = section(read_comparison(comparison(0), "here"))
    assert made.picture is None
    assert made.columns == ("tensor", "relative norm")
    assert made.rows == (("model.embed_tokens.weight", "0.5000"),)
