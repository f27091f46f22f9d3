"""Fuzz the small files of a model folder: each key is deleted or replaced, each file emptied, cut, or made another kind."""

import json
import shutil

FILES = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json")
VALUES = {
    "deleted": ...,
    "null": None,
    "true": True,
    "text": "nonesuch",
    "list": [],
    "mapping": {"a": 1},
    "negative": -1,
    "zero": 0,
    "half": 2.5,
    "large": 300,
}
CONTENTS = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "nul": lambda content: b"\0" * len(content),
    "latin": lambda content: content.replace(b'"', b"\xe9", 1),
    "a list": lambda content: b"[]",
    "a number": lambda content: b"3",
    "deep": lambda content: b'{"a": ' + b"[" * 100_000,
    "long number": lambda content: b'{"a": ' + b"1" * 10_000 + b"}",
    "surrogate": lambda content: b'{"architectures": ["\\ud800"]}',
}


def cases(folder):
    """Every damage of a model folder: the file, the key (none: the file as a whole), the kind."""
    for name in FILES:
        yield from ((name, "", kind) for kind in CONTENTS)
        yield from ((name, key, kind) for key in json.loads((folder / name).read_text()) for kind in VALUES)
    yield from ((name, "", kind) for name in (*FILES, "model.safetensors") for kind in ("removed", "a folder"))
    yield from (("model.safetensors", "", kind) for kind in ("empty", "cut", "nul"))


def spoil(folder, name, key, kind):
    """Do the damage."""
    path = folder / name
    if kind == "removed":
        path.unlink()
    elif kind == "a folder":
        path.unlink()
        path.mkdir()
    elif not key:
        path.write_bytes(CONTENTS[kind](path.read_bytes()))
    else:
        content = json.loads(path.read_text())
        content[key] = VALUES[kind]
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def copy(tiny, to):
    """A fresh copy to spoil."""
    shutil.rmtree(to, ignore_errors=True)
    return shutil.copytree(tiny, to)
