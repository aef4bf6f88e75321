"""What the documents say is what the program does."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from runpy import run_path

import pytest
from audio_files import example

import earmark
from earmark import environment, zoo
from earmark.cli.terminal import EXIT_MEANINGS, Exit
from earmark.data.previews.sources.itunes import ITunes
from earmark.data.store.format import CLIPS_PER_SHARD
from earmark.library import changes, settings
from earmark.library.hearing import QUICK_WINDOWS
from earmark.library.playlists import recordings
from earmark.metrics.intervals import REPLICATES
from earmark.model_file import read_card
from earmark.ranking import DEFAULT_RANKING, SHRINKAGE
from earmark.runtime import BATCH
from earmark.signal_check import doubts

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md"))
SHIPPED = read_card(zoo.resolve(zoo.SHIPPED))
WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
FILES = [
    path
    for folder in (
        "src",
        "tests",
        "docs",
        "benchmarks",
        "studies",
        "examples",
        "integrations",
        "deploy",
    )
    for path in (ROOT / folder).rglob("*.py")
]
# Of the Keras code of the paper, which has a guide of its own.
ON_GITHUB = "https://github.com/earmark-music/earmark/blob/main/"
FILES_OF_OTHERS = {"example_feat_extract.py", "example_tagging.py"}


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_the_command_line_is_the_one_it_makes(generate, tmp_path):
    generate.commands(tmp_path / "cli.md")
    assert text_of("docs/reference/cli.md") == (tmp_path / "cli.md").read_text(), "run: make docs"


@pytest.fixture(scope="module")
def tables():
    return run_path(str(DOCS / "make_tables.py"))["pages"]()


def test_the_pages_of_tables_are_the_ones_it_makes(tables):
    for name, page in tables.items():
        assert text_of(f"docs/reference/{name}") == page, "run: make docs"


def test_each_key_of_a_recipe_says_what_it_does(tables):
    rows = [line.split(" | ") for line in tables["recipe.md"].splitlines() if "| `" in line]
    assert len(rows) > 40
    assert [row[0] for row in rows if len(row[-1].strip(" |")) < 8] == []


def test_each_environment_variable_that_is_read_is_on_its_page_and_no_other():
    read = set()
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        read |= set(re.findall(r"environ(?:\.get\(|\[)\"(EARMARK_\w+)\"", text))
        read |= set(re.findall(r"envvar=\"(EARMARK_\w+)\"", text))
    assert read == environment.VARIABLES.keys()


def test_each_exit_code_has_its_meaning():
    assert EXIT_MEANINGS.keys() == set(Exit)


def test_every_module_says_what_it_is_and_stands_on_the_page_of_the_architecture(generate):
    assert [name for name, line in generate.modules().items() if not line] == []
    assert text_of("docs/explanation/architecture.md") == generate.architecture(), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8").replace("\\_", "_").replace(ON_GITHUB, "")
    made = set(re.findall(r'title="([^"]+)"', text))  # by the page itself
    for name in re.findall(r"(?<![\w~/.])\.*[\w/-]+\.py\b", text):
        assert name in FILES_OF_OTHERS | made or any(
            path.as_posix().endswith(f"/{name.lstrip('./')}") for path in FILES
        ), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_of_the_package_that_a_page_uses_is_there(page):
    for name in re.findall(r"`(earmark(?:\.\w+)+)`", page.read_text(encoding="utf-8")):
        assert pkgutil.resolve_name(name) is not None


def test_readmes_python_runs(tmp_path):
    (snippet,) = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)
    example().write(tmp_path / "song.mp3", example().make_song(3))
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[('")
    assert done.stdout.count("(") == 5


def test_the_example_of_python_runs(model, tmp_path):
    script = ROOT / "examples" / "tag_from_python.py"
    songs = [tmp_path / "song.mp3", tmp_path / "other.flac"]
    for seed, song in enumerate(songs):
        example().write(song, example().make_song(3, seed=seed))
    done = subprocess.run(
        [sys.executable, script, model, *songs], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "an embedding of 5 numbers" in done.stdout
    assert done.stdout.count("'path'") == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_on_a_package_index_every_link_of_the_readme_is_an_address_of_a_file_that_is_there():
    """As hatch-fancy-pypi-readme makes it while a wheel is built."""
    project = tomllib.loads(text_of("pyproject.toml"))
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    readme = "".join(text_of(fragment["path"]) for fragment in hook["fragments"])
    for change in hook["substitutions"]:
        readme = re.sub(change["pattern"], change["replacement"], readme)
    targets = re.findall(r"(!?)\[[^\]]*\]\(([^)#]+)", readme)
    assert len(targets) > 20
    ours = r"https://(?:github\.com/earmark-music/earmark/blob|raw\S+/earmark-music/earmark)/main/"
    for is_picture, target in targets:
        assert target.startswith("https://"), target
        assert not is_picture or "raw.githubusercontent.com" in target
        if place := re.match(ours, target):
            assert (ROOT / target[place.end() :]).exists(), target


def test_the_index_leads_to_every_page():
    targets = re.findall(r"\]\(([^)#]+)", text_of("docs/index.md"))
    linked = {(DOCS / target).resolve() for target in targets}
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= linked


def test_every_recipe_stands_in_the_guide_to_training():
    named = re.findall(r"^\| `([\w-]+)` \|", text_of("docs/guides/training.md"), re.MULTILINE)
    assert sorted(named) == sorted(path.stem for path in (ROOT / "recipes").glob("*.toml"))


def decimal(value: float) -> str:
    return f"{value:.2f}".rstrip("0").removeprefix("0")


RULES = settings.read_settings()
GENRE = RULES.groups["genre"]
N_MEASURED = sum(trust is not None for trust in SHIPPED.reliability or ())
FIGURES = [
    ("docs/guides/serving.md", f"up to {WORDS[BATCH]} at once"),
    ("docs/guides/million-song.md", f"iTunes allows about {ITunes.per_minute:g} requests a minute"),
    ("docs/guides/million-song.md", f"Shards of {CLIPS_PER_SHARD:,} clips"),
    ("docs/guides/library.md", f"hears {WORDS[QUICK_WINDOWS]} windows spread over each song"),
    ("docs/guides/library.md", f"changed in the last {WORDS[int(changes.SETTLE_SECONDS)]} seconds"),
    ("docs/guides/library.md", f"{WORDS[GENRE.top]} genres and {WORDS[RULES.groups['mood'].top]} "
     f"moods at most are written, from a score of {decimal(GENRE.min)} on"),
    ("docs/guides/library.md", f"a cosine from {decimal(recordings.NEAR)} on, log-odds that differ "
     f"by {decimal(recordings.NEAR_LOG_ODDS)} or less, and a length within a second"),
    ("docs/reference/formats/evaluation.md", f"by {REPLICATES:,} draws of songs"),
    ("docs/reference/models.md", f"less {SHRINKAGE:g} of the prior's log-odds"),
    ("docs/reference/models.md", f"{DEFAULT_RANKING} (the default)"),
    ("docs/reference/models.md", f"{zoo.resolve().stat().st_size / 1e6:.1f} MB, in the package"),
    ("docs/reference/models.md", f"{len(SHIPPED.tags)} tags: MSD-50 in column order, then"),
    ("docs/explanation/scores.md",
     f"{N_MEASURED} tags of the shipped model that labels could measure"),
    ("docs/explanation/scores.md", f"less {WORDS[round(10 * SHRINKAGE)]} tenths of the prior's"),
    ("README.md", f"(shipped, {len(SHIPPED.tags)} tags, {zoo.resolve().stat().st_size / 1e6:.1f} "
     "MB)"),
    *(
        ("docs/reference/formats.md", f"`{doubt.kind}`")
        for doubt in (*doubts(peak=0.0, unrest=None), *doubts(peak=1.0, unrest=0.0))
    ),
]  # fmt: skip


@pytest.mark.parametrize(("page", "words"), FIGURES)
def test_a_figure_that_the_code_knows_is_the_one_on_the_page(page, words):
    assert words in " ".join(text_of(page).split())


def test_the_version_stands_in_one_place():
    project = tomllib.loads(text_of("pyproject.toml"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/earmark/__init__.py"
    assert f"\nversion: {earmark.__version__}\n" in text_of("CITATION.cff")


TIMES = " \N{MULTIPLICATION SIGN})"


def speeds(kind: str) -> list[str]:
    """The cells of README's table for one format, as docs/reference/performance.md has them."""
    page = text_of("docs/reference/performance.md")
    table = page.partition(f"## Audio to tags: {kind} clips of 30 s\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    cells = []
    for way, rate, times, *_ in rows:
        rate, times = (f"{float(cell.split()[0]):.1f}" for cell in (rate, times))
        cells.append(rate if way == "original" else f"{rate} ({times}{TIMES}")
    return cells


def test_the_speeds_in_the_readme_are_those_of_the_last_benchmark():
    columns = zip(*(speeds(kind) for kind in ("m4a", "mp3", "flac")), strict=True)
    found = [line.split("|")[2:5] for line in text_of("README.md").splitlines() if TIMES in line]
    expected = [list(row) for row in columns]
    assert [[cell.strip() for cell in row] for row in found] == expected[1:]


def rows_of(page: str) -> dict[str, list[str]]:
    """{first cell: other cells} of the tables of a page; without bold and intervals."""
    rows = {}
    for line in text_of(page).replace("**", "").splitlines():
        if line.startswith("|"):
            first, *others = (re.sub(r" \([^()]* to .*?\)", "", cell).strip() for cell in
                              line.strip("| ").split("|"))  # fmt: skip
            rows[first] = others
    return rows


def test_how_well_it_hears_is_the_same_in_the_readme_as_on_its_pages():
    readme = {name: cells for name, cells in rows_of("README.md").items()
              if len(cells) == 2 and cells[0].startswith(".")}  # fmt: skip
    shipped = readme.pop(next(iter(readme)))
    assert shipped == rows_of("docs/reference/models.md")["16 tags that 4Q has words for"]
    others = rows_of("docs/explanation/restored-weights.md")
    assert len(readme) == 6
    assert {name: others[name] for name in readme} == readme
