import re
from html.parser import HTMLParser

import pytest

from deltakit.errors import RecipeError
from deltakit.report.html import as_html
from deltakit.report.markdown import as_markdown
from deltakit.report.paired.compared import compare
from deltakit.report.paired.ours import read_ours
from deltakit.report.paired.page import compared_page, folds, levels
from deltakit.report.results import LOSS
from support.paired import model, paired_result, sample, task

EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\" onmouseover='x' ]]> {{7*7}}"


def compared(models=None):
    given = models or {"base": "1" * 30 + "0" * 30, "good": "1" * 45 + "0" * 15, "like": "0" + "1" * 30 + "0" * 29}
    return compare(read_ours(paired_result(given), "r.json"), draws=200)


def test_a_page_has_differences_bytes_and_items():
    values = {"base": "1" * 30 + "0" * 30, "good": "1" * 45 + "0" * 15, "like": "0" + "1" * 30 + "0" * 29}
    page = compared_page(compared([model(n, v, size=100 * i) for i, (n, v) in enumerate(values.items(), 1)]))
    titles = [s.title for s in page.sections]
    assert titles == ["Differences from base: toy_math", "Accuracy against bytes: toy_math",
                      "Items that changed: toy_math"]  # fmt: skip
    assert [f.title for f in page.sections[2].folds] == [
        "toy_math: good gained 15 of 60", "toy_math: like lost 1 of 60", "toy_math: like gained 1 of 60"
    ]  # fmt: skip
    assert [f.title for f in compared_page(compared(), show=4).sections[1].folds][0].endswith("15 of 60, 4 shown")
    assert [s.title for s in compared_page(compared(), show=0).sections] == titles[:1]


def test_warnings_stand_first():
    page = compared_page(compared([model("a", "10"), model("b", "11", dtype="bfloat16")]))
    assert page.sections[0].rows == (("dtype differs: float32 (a), bfloat16 (b)",),)


def test_an_item_has_what_is_needed_to_judge_it():
    (fold,) = folds(compared({"a": "10", "b": "11"}).pairs[0], "a", 5)
    assert dict(fold.items[0]) == {
        "document": "1", "question": "What is 1 + 1?", "gold answer": "4", "a: wrong": "5", "b: right": "4",
        "a wrote": "It is 5.", "b wrote": "It is 4.",
    }  # fmt: skip


def test_scores_in_between_are_shown_as_such():
    (fold,) = folds(compared({"a": [0.5, 1.0], "b": [0.25, 1.0]}).pairs[0], "a", 5)
    assert (fold.title, dict(fold.items[0])["b: 25.0"]) == ("toy_math: b lost 1 of 2", "5")


def test_a_loss_that_falls_is_gained_and_no_accuracy():
    def losing(name, nats):
        samples = [{"doc_id": 0, "doc_hash": "h", "nll": nats, "tokens": 10}]
        return model(name, "1", tasks={}, loss={"loss": nats / 10, "stderr": None, "records": 1, "samples": samples})

    found = compared([losing("a", 20.0), losing("b", 10.0)])
    assert folds(found.pairs[0], "a", 5)[0].title == "held-out loss: b gained 1 of 1"
    assert folds(found.pairs[0], "a", 5)[0].items == ((("document", "0"), ("a", "20.000 nats"), ("b", "10.000 nats")),)
    assert [list(row.scores) for row in levels(found)] == [[LOSS], [LOSS]]


def test_levels_keep_intervals_and_sizes():
    base, good, _ = levels(compared())
    assert (base.name, base.nbytes, base.scores["toy_math"].value, base.scores["toy_math"].n) == ("base", 1000, 0.5, 60)
    assert good.scores["toy_math"].is_share
    assert base.scores["toy_math"].interval == pytest.approx(compared().pairs[0].found.before_interval, abs=1e-6)


class Tags(HTMLParser):
    """Tags and attributes of a page, as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_what_models_write_stays_text():
    filters = {"marked": {"answer": [EVIL], "exact_match": 0.0}}
    evil = sample(0, 0.0, prompt=EVIL, target=EVIL, responses=[EVIL], filters=filters)
    right = {**evil, "filters": {"marked": {"answer": [EVIL], "exact_match": 1.0}}}
    made = [model(EVIL + n, "1", tasks={"toy_math": task("1", samples=[s])}) for n, s in (("1", evil), ("2", right))]
    page = compared_page(compared(made), title=EVIL)
    raw = as_html(page).decode()
    tags = Tags()
    tags.feed(raw)
    assert "script" not in tags.found
    assert {a for a in tags.attributes if a.startswith("on")} == set()
    assert "49" not in re.sub(r"base64,[\w+/=]+", "", raw.split("</style>")[1])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in raw
    assert not re.search(r"(src|href)=[\"']?(https?:|//)", raw)
    text = as_markdown(page, {}).decode()
    assert "<" not in text.replace("&lt;", "")


def test_markdown_lists_the_items():
    text = as_markdown(compared_page(compared({"a": "10", "b": "11"}), show=1), {}).decode()
    assert "**toy\\_math: b gained 1 of 2**" in text
    assert "- document: 1" in text
    assert "  question: What is 1 \\+ 1?" in text


def test_a_line_that_is_no_model_is_refused():
    with pytest.raises(RecipeError, match="did you mean 'good'"):
        compared_page(compared(), lines=["goood"])
