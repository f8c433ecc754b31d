"""The picture of the losses."""

from deltakit.train.curve import draw_losses

ROWS = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}, {"step": 2, "holdout_loss": 1.7}]


def test_a_png_that_depends_on_the_losses_alone():
    picture = draw_losses(ROWS, "run")
    assert picture.startswith(b"\x89PNG")
    assert picture == draw_losses(ROWS, "run")
    assert picture != draw_losses(ROWS[:2], "run")


def test_no_losses_are_an_empty_picture():
    assert draw_losses([], "run").startswith(b"\x89PNG")
