"""WMT19: line-aligned text and rows with `translation`, both directions, ids from content."""

import gzip

import pytest

from edt.errors import ConfigError, DataError
from edt.tasks.base import DroppedRow
from tests.support.task_fixtures import pairs, task, write_lines


def write_pair(folder, english: str, chinese: str, endings=("eng", "zho"), name="news"):
    (folder / f"{name}.{endings[0]}").write_bytes(english.encode())
    (folder / f"{name}.{endings[1]}").write_bytes(chinese.encode())
    return folder


@pytest.mark.parametrize("endings", [("eng", "zho"), ("en", "zh")])
@pytest.mark.parametrize("given", ["", "news", "news.{0}", "news.{1}"])
def test_a_pair_is_found_by_its_folder_its_name_and_either_file(tmp_path, endings, given):
    write_pair(tmp_path, "One.\nTwo.\n", "一。\n二。\n", endings)
    first, second = task("wmt19", path=str(tmp_path / given.format(*endings))).load("all").examples
    assert first.parts.head == "Translate the sentence from English to Chinese.\n\nEnglish: "
    assert first.parts.source == "One."
    assert first.parts.tail == "\nChinese:"
    assert first.references == ("一。",)
    assert second.references == ("二。",)


def test_a_gzipped_pair_is_read(tmp_path):
    (tmp_path / "news.eng.gz").write_bytes(gzip.compress(b"One.\n"))
    (tmp_path / "news.zho.gz").write_bytes(gzip.compress("一。\n".encode()))
    (example,) = task("wmt19", path=str(tmp_path)).load("test").examples
    assert example.references == ("一。",)


def test_the_direction_turns_around(tmp_path):
    write_pair(tmp_path, "One.\n", "一。\n")
    backwards = task("wmt19", path=str(tmp_path), direction="zh-en")
    (example,) = backwards.load("all").examples
    (forwards,) = task("wmt19", path=str(tmp_path)).load("all").examples
    assert (example.parts.source, example.references) == ("一。", ("One.",))
    assert example.parts.head.endswith("from Chinese to English.\n\nChinese: ")
    assert backwards.target_language == "en"
    assert task("wmt19").target_language == "zh"
    assert example.example_id == forwards.example_id


@pytest.mark.parametrize("direction", ["en", "en-en", "en-xx", "en_zh"])
def test_a_direction_is_two_known_languages(direction):
    with pytest.raises(
        ConfigError, match=rf"task\.direction is '{direction}'; it must be SOURCE-TARGET with two of: en, zh"
    ):
        task("wmt19", direction=direction)


def test_rows_with_translation_give_the_same_examples_as_aligned_text(tmp_path):
    rows = pairs(5)
    lines = write_lines(tmp_path / "rows.jsonl", rows)
    folder = tmp_path / "text"
    folder.mkdir()
    texts = ["".join(row["translation"][language] + "\n" for row in rows) for language in ("en", "zh")]
    write_pair(folder, *texts)
    assert task("wmt19", path=str(lines)).load("all").examples == task("wmt19", path=str(folder)).load("all").examples


def test_ids_follow_content_not_position(tmp_path):
    there = task("wmt19", path=str(write_lines(tmp_path / "a.jsonl", pairs(6)))).load("all").examples
    back = task("wmt19", path=str(write_lines(tmp_path / "b.jsonl", pairs(6)[::-1]))).load("all").examples
    assert {example.example_id: example.references for example in there} == {
        example.example_id: example.references for example in back
    }


def test_equal_pairs_have_ids_of_their_own_and_given_ids_are_kept(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [*pairs(1), *pairs(1), *pairs(1), pairs(1)[0] | {"id": 7}])
    first, second, third, given = [example.example_id for example in task("wmt19", path=str(path)).load("all").examples]
    assert (second, third, given) == (f"{first}-2", f"{first}-3", "7")


def test_only_a_line_feed_ends_a_line(tmp_path):
    write_pair(tmp_path, "One\u2028still one.\r\nTwo\x85still two.\n", "一。\n二。\n")
    first, second = task("wmt19", path=str(tmp_path)).load("all").examples
    assert first.parts.source == "One\u2028still one."
    assert second.references == ("二。",)


def test_an_empty_side_is_left_out_and_counted(tmp_path):
    write_pair(tmp_path, "One.\n\nThree.\n", "一。\n二。\n\n")
    loaded = task("wmt19", path=str(tmp_path)).load("all")
    assert len(loaded.examples) == 1
    assert loaded.dropped == {"empty source": 1, "empty reference": 1}
    assert list(task("wmt19").parse({"translation": {"en": "", "zh": ""}}, "test")) == [
        DroppedRow(reason="empty source")
    ]


def test_unequal_line_counts_are_an_error(tmp_path):
    write_pair(tmp_path, "One.\nTwo.\nThree.\n", "一。\n")
    with pytest.raises(DataError, match=r"news\.eng and .*news\.zho are line-aligned, but have 3 and 1 lines"):
        task("wmt19", path=str(tmp_path)).load("all")


def test_a_text_without_partner_is_an_error(tmp_path):
    (tmp_path / "news.eng").write_text("One.\n")
    for path in (tmp_path, tmp_path / "news.eng"):
        with pytest.raises(
            DataError, match=r"needs one partner in Chinese .* news with one of \.zh, \.zho, .*there is none"
        ):
            task("wmt19", path=str(path)).load("all")


def test_a_text_with_two_partners_is_an_error(tmp_path):
    write_pair(tmp_path, "One.\n", "一。\n")
    (tmp_path / "news.zh").write_text("一。\n")
    with pytest.raises(DataError, match=r"there is several \(news\.zh, news\.zho\)"):
        task("wmt19", path=str(tmp_path)).load("all")


def test_empty_texts_are_an_error(tmp_path):
    write_pair(tmp_path, "", "")
    with pytest.raises(DataError, match=r"are empty: they have no line"):
        task("wmt19", path=str(tmp_path)).load("all")


def test_a_missing_language_is_named(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"translation": {"de": "Eins.", "en": "One."}}])
    with pytest.raises(
        DataError, match=r"line 1, column 'translation' has no column 'zh'; it has de, en, and needs en, zh"
    ):
        task("wmt19", path=str(path)).load("all")


def test_test_and_dev_share_the_validation_rows(tmp_path):
    write_lines(tmp_path / "train.jsonl", pairs(4, "t"))
    write_lines(tmp_path / "validation.jsonl", pairs(30))
    wmt19 = task("wmt19", path=str(tmp_path), test_size=10, dev_size=15)
    test, dev = ({example.parts.source for example in wmt19.load(split).examples} for split in ("test", "dev"))
    assert (len(test), len(dev), len(test & dev)) == (10, 15, 0)
    assert len(wmt19.load("train").examples) == 4
    assert len(wmt19.load("all").examples) == 34


def test_a_folder_with_its_own_test_file_is_taken_by_name(tmp_path):
    write_lines(tmp_path / "dev.jsonl", pairs(3, "d"))
    write_pair(tmp_path, "One.\n", "一。\n", name="test")
    wmt19 = task("wmt19", path=str(tmp_path))
    assert [example.parts.source for example in wmt19.load("test").examples] == ["One."]
    assert len(wmt19.load("dev").examples) == 3
