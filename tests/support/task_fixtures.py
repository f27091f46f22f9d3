"""Tasks as their configuration files describe them, and small data files in every original form."""

import json
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from edt.cli.composition import config_folder
from edt.tasks.sources.dataset_task import DatasetTask

CONFIGS = Path(__file__).parents[2] / "configs" / "task"


def task(name: str, **settings: Any) -> DatasetTask:
    """The task of `configs/task/NAME.yaml` with some settings changed, as the command line builds it."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        node = compose(overrides=[f"+task={name}"]).task
    OmegaConf.set_struct(node, False)
    for name in ("split", "quality"):  # of the request
        node.pop(name, None)
    # The default of commands; a task by itself has all of its examples.
    for key, value in {"limit": None, **settings}.items():
        OmegaConf.update(node, key, value, force_add=True)
    try:
        built = instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise (error.__cause__ or error) from None
    assert isinstance(built, DatasetTask)
    return built


def write_lines(path: Path, rows: list[Any]) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_json(path: Path, value: Any) -> Path:
    """One JSON document."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]], row_group_size: int | None = None) -> Path:
    """A parquet file of the rows."""
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=row_group_size)
    return path


def articles(count: int, prefix: str = "a") -> list[dict[str, Any]]:
    """Rows as XL-Sum has them."""
    return [
        {"id": f"{prefix}{n}", "url": "", "title": f"Title {n}", "summary": f"Sum {n}.", "text": f"Text {n}.\nMore."}
        for n in range(count)
    ]


def query(number: int, **changes: Any) -> dict[str, Any]:
    """A row as MS MARCO has it on the hub."""
    row = {
        "query_id": number,
        "query": f"what is {number}",
        "query_type": "description",
        "answers": [f"It is {number}."],
        "wellFormedAnswers": [],
        "passages": {"passage_text": ["First.", "Second."], "is_selected": [0, 1], "url": ["http://a", "http://b"]},
    }
    return row | changes


def native_query(number: int, **changes: Any) -> dict[str, Any]:
    """A row as MS MARCO was published."""
    row = query(number, **changes)
    del row["wellFormedAnswers"]
    columns = row["passages"]
    row["passages"] = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return row


def dialogue(name: str, questions: int = 2) -> dict[str, Any]:
    """A section as QuAC was published, with one dialogue."""
    qas = [
        {
            "id": f"{name}_q#{n}",
            "question": f"Question {n}?",
            "answers": [{"text": f"answer {n}", "answer_start": 0}],
            "orig_answer": {"text": f"answer {n}", "answer_start": 0},
            "followup": "n",
            "yesno": "x",
        }
        for n in range(questions)
    ]
    # With the dialogue's name: equal prompts are twins, which share a split.
    context = f"The section of {name} says answer 0 and answer 1. CANNOTANSWER"
    paragraph = {"id": name, "context": context, "qas": qas}
    return {"title": "Page", "section_title": "Section", "background": "", "paragraphs": [paragraph]}


def hub_dialogue(name: str, questions: int = 2) -> dict[str, Any]:
    """The same dialogue as a row of the hub."""
    return {
        "dialogue_id": name,
        "wikipedia_page_title": "Page",
        "background": "",
        "section_title": "Section",
        "context": f"The section of {name} says answer 0 and answer 1. CANNOTANSWER",
        "turn_ids": [f"{name}_q#{n}" for n in range(questions)],
        "questions": [f"Question {n}?" for n in range(questions)],
        "followups": [1] * questions,
        "yesnos": [2] * questions,
        "answers": {
            "texts": [[f"answer {n}"] for n in range(questions)],
            "answer_starts": [[0] for _ in range(questions)],
        },
        "orig_answers": {"texts": [f"answer {n}" for n in range(questions)], "answer_starts": [0] * questions},
    }


def pairs(count: int, prefix: str = "s") -> list[dict[str, Any]]:
    """Rows as WMT19 has them on the hub."""
    return [{"translation": {"zh": f"句子{prefix}{n}。", "en": f"Sentence {prefix}{n}."}} for n in range(count)]
