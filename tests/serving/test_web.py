"""A model as a page, in Chromium: its translations, what it shows, and what it says."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.translation.translator import Translator
from serving.web import command, litert_js
from serving.web.site import PAGE
from tests.attention_nmt.tiny import VARIANTS
from tests.serving.exported import TEXTS, random_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests" / "model_folder" / "model"
SOURCES = [
    entry["source"] for entry in json.loads((MODEL.parent / "expected.json").read_text("utf-8"))
]
STRANGE = [
    "",
    "   ",
    "\n",
    "\t the  red\u00a0dress ",
    "THE RED DRESS",
    "the red dress" * 40,
    "a" * 300,
    "你好，世界！",
    "น้ำใจ می\u200cخواهم",
    "👍🏽👩\u200d👩\u200d👧",
    "e\u0301 é ｆｕｌｌ m²",
    "<script>alert(1)</script>",
    "</s> <pad> <unk> <0x41>",
    "\u2581the\u2581dress",
    "co\u00adop \ufeff\u2060x",
    "\u0000\u0001\u001f",
    "“the” ‘red’ «dress» it's",
    "1,234.56 € 100 % #!?",
    "the red dress\r\nhe sees it",
    "ǅ ﬁ ß ẞ İ",
]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def runtime() -> Path:
    """LiteRT.js, fetched if there is a way."""
    if not (litert_js.RUNTIME / "litert.js").is_file():
        try:
            litert_js.fetch(ROOT / "LICENSE")
        except OSError as error:
            pytest.skip(f"LiteRT.js is not here and could not be fetched: {error}")
    return litert_js.RUNTIME


@pytest.fixture(scope="module")
def site(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kept model as a page, in float32, for sources of two lengths."""
    assert (runtime / "LICENSE").is_file()
    output = tmp_path_factory.mktemp("web") / "site"
    flags = ["--model", str(MODEL), "--output", str(output), "--quantize", "none"]
    assert command.main([*flags, "--lengths", "16", "40", "--n-best", "3"]) == 0
    return output


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if BROWSER is None:
        pytest.skip("there is no Chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as started:
        # The sandbox needs rights that a container has not.
        launched = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextmanager
def opened_page(site: Path, browser: Browser) -> Iterator[Page]:
    """A block with the page, when its first translation is there."""
    context = browser.new_context()
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    with command.served(site) as address:
        opened.goto(address)
        opened.wait_for_function("document.getElementById('translation').textContent")
        yield opened
        context.close()
    assert faults == []


@pytest.fixture
def page(site: Path, browser: Browser) -> Iterator[Page]:
    with opened_page(site, browser) as opened:
        yield opened


def sentences(count: int) -> list[str]:
    """Sentences of 1 to some 40 pieces."""
    draw = random.Random(1)
    made = []
    for _ in range(count):
        text = " ".join(draw.sample(SOURCES, draw.randrange(1, 4)))
        words = text.split()
        made.append(" ".join(words[: draw.randrange(1, len(words) + 1)]))
    return made


def in_page(page: Page, texts: list[str]) -> list[Any]:
    """What the page's translator gives of each text."""
    script = """async (texts) => {
        const {Translator} = await import('./translator.js');
        const translator = await Translator.load();
        const found = [];
        for (const text of texts) found.push(await translator.translate(text));
        return found;
    }"""
    return page.evaluate(script, texts)


def without_broken(text: str) -> str:
    """A text with one mark for any run of bytes that are no UTF-8, which are not counted alike."""
    return re.sub("\ufffd+", "\ufffd", text)


def assert_equal_to_python(page: Page, texts: list[str], model: Path = MODEL) -> None:
    translator = Translator.from_preset(model)
    changes: dict[str, Any] = {"n_best": 3, "maximum_source_length": 40}
    for text, found in zip(texts, in_page(page, texts), strict=True):
        expected = translator.translate(text, **changes)
        if translator.source_tokenizer.encode([text]) == [[]]:
            assert found["translations"] == []
            continue
        texts_of = [without_broken(one["text"]) for one in found["translations"]]
        assert texts_of == [without_broken(one.text) for one in expected]
        assert found["truncated"] == expected[0].truncated
        for one, other in zip(found["translations"], expected, strict=True):
            assert one["score"] == pytest.approx(other.score, abs=1e-3)
            assert one["pieces"] == other.target_tokens
            assert other.alignment is not None
            np.testing.assert_allclose(one["alignment"], other.alignment, atol=1e-3)


def test_translations_are_those_of_python(page: Page) -> None:
    assert_equal_to_python(page, sentences(12))


@pytest.mark.long
def test_many_translations_are_those_of_python(page: Page) -> None:
    assert_equal_to_python(page, sentences(200))


@pytest.mark.long
def test_strange_inputs_are_translated_as_python_does(page: Page) -> None:
    assert_equal_to_python(page, STRANGE)


@pytest.mark.long
def test_a_transformer_in_the_page(runtime: Path, browser: Browser, tmp_path: Path) -> None:
    """Of random weights, whose cache is a part of the loop."""
    assert (runtime / "LICENSE").is_file()
    run = random_run(tmp_path / "run", {"maximum_length_ratio": 1.5}, **VARIANTS["transformer"])
    site = tmp_path / "site"
    flags = ["--model", str(run), "--output", str(site), "--quantize", "none"]
    assert command.main([*flags, "--lengths", "16", "40", "--n-best", "3"]) == 0
    with opened_page(site, browser) as page:
        assert_equal_to_python(page, TEXTS, run)


def test_a_text_is_translated_as_it_is_typed_and_what_was_read_is_lit(page: Page) -> None:
    first = page.inner_text("#translation")
    page.fill("#text", SOURCES[1])
    page.wait_for_function(
        "before => document.getElementById('translation').textContent !== before", arg=first
    )
    expected = Translator.from_preset(MODEL).translate(SOURCES[1], n_best=3)
    assert page.inner_text("#translation") == expected[0].text
    shown = page.locator("#alternatives button").all_inner_texts()
    assert [re.sub(r" -?[\d.]+$", "", text) for text in shown] == [one.text for one in expected]
    assert re.fullmatch(r"\d+ ms", page.inner_text("#status"))

    step = len(expected[0].target_tokens) - 2
    page.locator("#target_pieces button").nth(step).hover()
    lit = "spans => spans.map(span => Number(span.style.getPropertyValue('--weight')))"
    weights = page.locator("#source_pieces span").evaluate_all(lit)
    assert expected[0].alignment is not None
    np.testing.assert_allclose(weights, expected[0].alignment[step], atol=2e-3)

    page.keyboard.press("Tab")
    page.locator("#target_pieces button").nth(0).focus()
    page.keyboard.press("ArrowRight")
    lit_now = "buttons => buttons.findIndex(button => button.classList.contains('lit'))"
    assert page.locator("#target_pieces button").evaluate_all(lit_now) == 1
    percents = page.locator("#numbers td:last-child").all_inner_texts()
    greatest = 100 * expected[0].alignment[1].max()
    assert float(percents[0].rstrip(" %")) == pytest.approx(greatest, abs=0.1)

    page.locator("#alternatives button").nth(2).click()
    assert page.inner_text("#translation") == expected[2].text
    assert page.locator("#alternatives [aria-pressed=true]").count() == 1


def test_a_long_text_is_said_to_be_cut(page: Page) -> None:
    page.fill("#text", "the red dress " * 40)
    page.get_by_text("Too long: only the beginning was translated").wait_for()
    page.fill("#text", "")
    page.wait_for_function("!document.getElementById('translation').textContent")
    assert page.locator("#reading").is_hidden()


def test_a_page_that_was_loaded_works_offline(page: Page) -> None:
    page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    page.reload()  # the worker sees which runtime the browser takes
    page.wait_for_function("document.getElementById('translation').textContent")
    page.context.set_offline(True)
    page.reload()
    page.wait_for_function("document.getElementById('translation').textContent")
    page.context.set_offline(False)


def test_a_browser_that_cannot_run_it_is_told_why(site: Path, browser: Browser) -> None:
    context = browser.new_context()
    context.add_init_script("delete globalThis.WebAssembly")
    page = context.new_page()
    with command.served(site) as address:
        page.goto(address)
        page.get_by_text("This browser has no WebAssembly").wait_for()
        context.close()


def test_a_file_that_is_missing_is_named(site: Path, browser: Browser, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(site, tmp_path / "broken"))
    (broken / "model.tflite").unlink()
    page = browser.new_page()
    with command.served(broken) as address:
        page.goto(address)
        page.get_by_text("could not load the model: model.tflite: 404").wait_for()
        page.close()


def test_the_folder_is_whole_and_replaced(site: Path, capsys: Any) -> None:
    about = json.loads((site / "model.json").read_text(encoding="utf-8"))
    assert about["lengths"] == [16, 40]
    assert about["title"] == "Translation from en to fr"
    assert len(about["examples"]) == 3
    worker = (site / "worker.js").read_text(encoding="utf-8")
    kept = json.loads(re.search(r"FILES = (\[.*\]);", worker)[1])  # type: ignore[index]
    assert {"./", "app.js", "model.tflite", "source.model", "runtime/litert.js"} <= set(kept)
    assert "Apache License" in (site / "runtime" / "LICENSE").read_text(encoding="utf-8")

    (site.parent / "other").mkdir()
    (site.parent / "other" / "letter.txt").write_text("mine")
    flags = ["--model", str(MODEL), "--output", str(site.parent / "other")]
    assert command.main(flags) == 1
    assert "--output must be new, empty or the folder of a page" in capsys.readouterr().err
    assert command.main([*flags, "--lengths", "1"]) == 1
    assert "--lengths must be at least one, each at least 2" in capsys.readouterr().err


TOKENIZE = """
import {{Tokenizer}} from {module};
import fs from 'node:fs';
const file = fs.readFileSync({model});
const tokenizer = new Tokenizer(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
const texts = JSON.parse(fs.readFileSync({texts}));
const rows = texts.map((text) => tokenizer.encode(text));
console.log(JSON.stringify(rows.map((ids) => [ids, tokenizer.decode(ids)])));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
@pytest.mark.parametrize("normalization", ["nfc", "nfkc", "none"])
def test_the_tokenizer_in_javascript_is_that_of_python(normalization: Any, tmp_path: Path) -> None:
    draw = random.Random(2)
    letters = (
        "abcdeéßÄ  \t\u00a0\u00ad\u200c\ufeff.,’“ｆ½²가각นำ你好👍🏽\u0301\u0323\u0307"
        + "thersd" * 3
    )
    drawn = ["".join(draw.choices(letters, k=draw.randrange(40))) for _ in range(400)]
    texts = [*STRANGE, *SOURCES, *drawn]
    tokenizer = Tokenizer.train([*SOURCES, *STRANGE[3:]] * 3, 350, 0.99, normalization)
    tokenizer.save(tmp_path / "t.model")
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")

    paths = {"module": PAGE / "tokenizer.js", "model": "t.model", "texts": "texts.json"}
    quoted = {name: json.dumps(str(path)) for name, path in paths.items()}
    (tmp_path / "run.mjs").write_text(TOKENIZE.format(**quoted), encoding="utf-8")
    (tmp_path / "package.json").write_text("{}")
    done = subprocess.run(
        ["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for text, (ids, decoded) in zip(texts, json.loads(done.stdout), strict=True):
        (expected,) = tokenizer.encode([text])
        assert ids == expected, repr(text)
        assert decoded == tokenizer.decode([expected])[0], repr(text)
