"""Fetch the real samples that the results on real models were measured on.

    python -m scripts.fetch_samples SAMPLES
    python -m scripts.fetch_samples SAMPLES --originals FOLDER    # from files that were downloaded elsewhere
    python -m scripts.split_samples SAMPLES SPLIT

It writes SAMPLES/xlsum (the first 300 articles of task 1357 of Super-NaturalInstructions, which are of XL-Sum English),
SAMPLES/msmarco (120 rows of MS MARCO v1.1), SAMPLES/quac (five dialogues of QuAC) and SAMPLES/wmt19 (newstest2018,
English and Chinese). Each file has to have the SHA-256 that it had when the results were made, so another row, order or
byte is an error. XL-Sum is CC BY-NC-SA 4.0 and MS MARCO for non-commercial research: keep them to yourself. Some 50 MB
are downloaded.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edt.errors import DataError, EdtError
from edt.ids import file_digest
from edt.store.atomic import write_text

RAW = "https://raw.githubusercontent.com"
ELSEWHERE = "Download it on a machine that reaches it, and give its folder as --originals."


def first_articles(original: bytes) -> str:
    """Return the first 300 instances of a task of Super-NaturalInstructions as rows with the columns of XL-Sum."""
    rows = [
        {"id": row["id"], "url": "", "title": "", "summary": row["output"][0], "text": row["input"]}
        for row in json.loads(original)["Instances"][:300]
    ]
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def first_queries(original: bytes) -> str:
    """Return the first 120 rows of a JSON array."""
    return json.dumps(json.loads(original)[:120], ensure_ascii=False, indent=1)


def dialogues(original: bytes) -> str:
    """Return the file of training dialogues in a ZIP archive."""
    with zipfile.ZipFile(io.BytesIO(original)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/train_v0.2.json"))
        return archive.read(name).decode("utf-8")


def unchanged(original: bytes) -> str:
    """Return the file as it is."""
    return original.decode("utf-8")


@dataclass(frozen=True)
class Sample:
    """One file: where it is from, what is taken of it, and the SHA-256 of what is written."""

    path: str
    url: str
    convert: Callable[[bytes], str]
    sha256: str


SAMPLES: Sequence[Sample] = (
    Sample(
        "xlsum/articles300.jsonl",
        f"{RAW}/allenai/natural-instructions/master/tasks/task1357_xlsum_summary_generation.json",
        first_articles,
        "eb531256acd3166f5120c00a8ed668c084e633bdb1c4a51b766bf5b7c09aae20",
    ),
    Sample(
        "msmarco/train_sample120.json",
        f"{RAW}/nimishabr12/rag-robustness-project/15dcbd4806cf7500d9b83951207a62bea33cc2ae/data/ms_marco_sample.json",
        first_queries,
        "91070021a6f99bde265f35e8912d92d85b0397ebb3a6fcf68012f579c6f5729f",
    ),
    Sample(
        "quac/train_v0.2.json",
        f"{RAW}/huggingface/datasets/0d850109def3fa79685ea47fb398078f140931e2/datasets/quac/dummy/plain_text/1.1.0/"
        "dummy_data.zip",
        dialogues,
        "0943eb9b0f92c7690b87d99dca75f58925ebe8fb5126774e737aae96071a0f9f",
    ),
    Sample(
        "wmt19/newstest2018.eng",
        f"{RAW}/Helsinki-NLP/OPUS-MT-testsets/master/testsets/eng-zho/newstest2018.eng",
        unchanged,
        "70fbc6b34f64aff7ece36343d05596d52733ac64339d4b04a6ce24382520b275",
    ),
    Sample(
        "wmt19/newstest2018.zho",
        f"{RAW}/Helsinki-NLP/OPUS-MT-testsets/master/testsets/eng-zho/newstest2018.zho",
        unchanged,
        "e0eec6040f78169cc9ec9d4a2fa88fbb295be987a0bcb2370bf3f3068c80d5fd",
    ),
)


def main() -> None:
    """Read the arguments, fetch what is not there yet, print the paths."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--originals", type=Path, help="folder of the downloaded files, in place of a network")
    arguments = parser.parse_args()
    try:
        for sample in SAMPLES:
            fetch(sample, arguments.out, arguments.originals)
    except EdtError as error:
        print(f"fetch_samples: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def fetch(sample: Sample, out: Path, originals: Path | None) -> None:
    """Write one sample below `out`, unless it is there. Raises DataError."""
    path = out / sample.path
    if path.is_file() and file_digest(path) == sample.sha256:
        print(path, "is there", flush=True)
        return
    original = original_bytes(sample.url, originals)
    try:
        content = sample.convert(original)
    # A page that says why a file is not there is an answer too.
    except (ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{sample.url} is another file than expected ({error}). {ELSEWHERE}") from error
    if digest(content) != sample.sha256:
        raise DataError(
            f"{sample.path} would have the SHA-256 {digest(content)}, and the results were made with {sample.sha256}: "
            f"{sample.url} has changed. Look for an earlier version of it, and give its folder as --originals."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, content)
    print(path, flush=True)


def original_bytes(url: str, originals: Path | None) -> bytes:
    """Return the file behind the address, or the one of that name in the folder. Raises DataError."""
    try:
        if originals is not None:
            return (originals / url.rpartition("/")[2]).read_bytes()
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bytes(answer.read())
    except OSError as error:
        raise DataError(f"{url} cannot be read ({error}). {ELSEWHERE}") from error


def digest(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


if __name__ == "__main__":
    main()
