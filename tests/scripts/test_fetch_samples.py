"""The real samples of the committed results are written with their SHA-256, or not at all."""

import io
import json
import zipfile
from dataclasses import replace

import pytest

from edt.errors import DataError
from scripts import fetch_samples
from scripts.fetch_samples import SAMPLES, dialogues, digest, fetch, first_articles, first_queries

ORIGINALS = {
    "task1357_xlsum_summary_generation.json": json.dumps(
        {
            "Instances": [
                {"id": f"task1357-{n}", "input": f"Text “{n}”.", "output": [f"Summary {n}."]} for n in range(302)
            ]
        }
    ),
    "ms_marco_sample.json": json.dumps([{"query_id": n, "query": f"wer ist Ä{n}"} for n in range(121)]),
    "newstest2018.eng": "One.\nTwo.\n",
    "newstest2018.zho": "一。\n二。\n",
}
ORIGINALS = {name: text.encode() for name, text in ORIGINALS.items()}
with zipfile.ZipFile(archive := io.BytesIO(), "w") as zipped:
    zipped.writestr("dummy_data/train_v0.2.json", '{"data": ["Ä"]}')
    zipped.writestr("dummy_data/val_v0.2.json", "{}")
ORIGINALS["dummy_data.zip"] = archive.getvalue()


@pytest.fixture
def originals(tmp_path):
    folder = tmp_path / "originals"
    folder.mkdir()
    for name, content in ORIGINALS.items():
        (folder / name).write_bytes(content)
    return folder


def known(sample, folder):
    """The sample with the SHA-256 of what the folder's file becomes."""
    name = sample.url.rpartition("/")[2]
    return replace(sample, sha256=digest(sample.convert((folder / name).read_bytes())))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path)
def test_a_file_is_written_once_and_only_as_it_was(sample, originals, tmp_path, capsys):
    with pytest.raises(DataError, match=r"has changed\. Look for an earlier version"):
        fetch(sample, tmp_path / "out", originals)
    assert not (tmp_path / "out" / sample.path).exists()
    fetch(known(sample, originals), tmp_path / "out", originals)
    for name in ORIGINALS:
        (originals / name).unlink()
    fetch(
        known_again := replace(sample, sha256=digest((tmp_path / "out" / sample.path).read_text())),
        tmp_path / "out",
        originals,
    )
    assert "is there" in capsys.readouterr().out
    (tmp_path / "out" / sample.path).write_text("cut off")
    with pytest.raises(DataError, match="cannot be read"):
        fetch(known_again, tmp_path / "out", originals)


def test_of_the_articles_and_queries_the_first_are_taken():
    rows = [
        json.loads(line) for line in first_articles(ORIGINALS["task1357_xlsum_summary_generation.json"]).splitlines()
    ]
    assert len(rows) == 300
    assert rows[-1] == {"id": "task1357-299", "url": "", "title": "", "summary": "Summary 299.", "text": "Text “299”."}
    queries = first_queries(ORIGINALS["ms_marco_sample.json"])
    assert [row["query_id"] for row in json.loads(queries)] == list(range(120))
    assert "Ä" in queries


def test_of_an_archive_the_training_dialogues_are_taken():
    assert dialogues(ORIGINALS["dummy_data.zip"]) == '{"data": ["Ä"]}'


@pytest.mark.parametrize("content", [b"<html>404</html>", b"\xff", b"{}", b""])
@pytest.mark.parametrize("sample", SAMPLES[:3], ids=lambda sample: sample.path)
def test_another_file_than_expected_is_no_traceback(sample, content, originals, tmp_path):
    (originals / sample.url.rpartition("/")[2]).write_bytes(content)
    with pytest.raises(DataError, match=r"is another file than expected|has changed"):
        fetch(sample, tmp_path / "out", originals)


def test_a_missing_folder_ends_with_a_message(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fetch_samples", str(tmp_path / "o"), "--originals", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as ended:
        fetch_samples.main()
    assert ended.value.code == 2
    assert "give its folder as --originals" in capsys.readouterr().err
