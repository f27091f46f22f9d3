"""The base of all strategies: one point of a family, a rule that gives a temperature per row, optional truncation.

Shapes: R rows.
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from edt.errors import ConfigError, shown_value

if TYPE_CHECKING:
    from torch import Tensor

TRUNCATIONS = ("top_k", "top_p", "min_p", "top_n_sigma", "epsilon_cutoff", "eta_cutoff", "typical_p", "top_h", "p_less")
"""The truncations of every strategy, by the name of their parameter."""

_ORDERS = ("temperature_first", "truncate_first")
_P_LESS = ("plain", "norm")
GRANULARITIES = ("token", "instance")
"""How often a temperature is computed: at each token, or once per instance."""


@dataclass(frozen=True, kw_only=True)
class Signals:
    """The signals that a temperature may read, one value per row, in nats, of the model's distribution p at T = 1.

    entropy_R: H = −Σ p ln p, of all tokens, or of the kept ones for a strategy with entropy_of "kept".
    max_entropy_R: the largest entropy that as many tokens can have, the logarithm of their number.
    kl_R: KL(p‖q) of the distribution with the source against the one without it.
    uniform_R: a number in (0, 1), noise that belongs to the row's identity and the step.
    step_R: the number of tokens drawn so far, 0 at the first step, int64.
    varentropy_R: Σ p (ln p + H)², the variance of the surprisal, in nats².
    collision_R: Σ p², the probability that two draws agree; not in nats.
    surprisal_R: −ln p of the row's last token under the distribution at T = 1 that it was drawn from; NaN at step 0.
    past_entropy_R: H of all tokens at one of the row's steps so far, this one included, drawn evenly by its own noise.
    A signal is NaN in rows whose strategy does not read it.
    """

    entropy_R: Tensor
    max_entropy_R: Tensor
    kl_R: Tensor
    uniform_R: Tensor
    step_R: Tensor
    varentropy_R: Tensor
    collision_R: Tensor
    surprisal_R: Tensor
    past_entropy_R: Tensor

    @classmethod
    def build(cls, entropy_R: Tensor, *, vocabulary: int | None = None, **given: Tensor | None) -> Signals:
        """Return the signals, with NaN for those that are not given, or given as None.

        vocabulary: the number of tokens; given instead of max_entropy_R, it sets that to ln(vocabulary).
        """
        # Imported here: the command line reads the strategies' parameters without torch.
        import torch

        if given.get("max_entropy_R") is None and vocabulary is not None:
            given["max_entropy_R"] = torch.full_like(entropy_R, math.log(vocabulary))
        # NaN, not 0: a rule that reads a signal nobody computed must not return a plausible temperature.
        nan_R = torch.full_like(entropy_R, torch.nan)
        missing = {field.name: nan_R for field in fields(cls)}
        return cls(**{**missing, "entropy_R": entropy_R, **{name: v for name, v in given.items() if v is not None}})

    def select(self, rows: Tensor) -> Signals:
        """Return the signals of some rows."""
        # Each tensor once: those that nobody computed are the same one, and a step should not pay for them.
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen = {key: value[rows] for key, value in {id(value): value for value in values.values()}.items()}
        return Signals(**{name: chosen[id(value)] for name, value in values.items()})


@dataclass(frozen=True, kw_only=True)
class Strategy(ABC):
    """One point of a family, validated when built.

    A subclass adds its parameters as fields, checks them in `check`, and gives the rule in `temperature`.
    Truncation: top_k >= 1, 0 < top_p <= 1, 0 < min_p <= 1, top_n_sigma >= 0, 0 < epsilon_cutoff < 1,
    0 < eta_cutoff < 1, 0 < typical_p <= 1, 0 < top_h <= 1, p_less "plain" or "norm"; None is off. See
    `edt.strategies.truncation` for the definitions.
    """

    family: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    """Signals that the rule reads: names of `Signals` without their `_R`."""

    top_k: int | None = None
    """Keep the k most likely tokens."""
    top_p: float | None = None
    """Keep the most likely tokens that hold the share p of the probability."""
    min_p: float | None = None
    """Keep tokens of at least min_p times the largest probability."""
    top_n_sigma: float | None = None
    """Keep logits within n standard deviations of the largest."""
    epsilon_cutoff: float | None = None
    """Keep tokens of at least this probability."""
    eta_cutoff: float | None = None
    """Keep tokens of at least min(η, √η · e^(−H)), H the entropy of all tokens."""
    typical_p: float | None = None
    """Keep the tokens whose surprisal is nearest to the entropy and that hold the share p of the probability."""
    top_h: float | None = None
    """Keep the most likely tokens that hold the share h of the entropy of the 100 most likely."""
    p_less: str | None = None
    """plain: keep tokens of at least the collision probability Σp²; norm: of that less the chance of a mismatch."""
    order: str = "temperature_first"
    """temperature_first: truncate the distribution at T; truncate_first: truncate at T = 1, then draw at T."""

    def __post_init__(self) -> None:
        # Before the checks, and past the frozen class: t0=1 and t0=1.0 must have one id, or a run would decode both.
        for field in fields(self):
            object.__setattr__(self, field.name, self._as_declared(field.name, getattr(self, field.name)))

        if self.top_k is not None:
            self.require(self.top_k >= 1, "top_k", "a number of tokens, 1 or more; null switches it off")
        if self.top_p is not None:
            self.require(0 < self.top_p <= 1, "top_p", "a probability mass in (0, 1]; null switches it off")
        if self.min_p is not None:
            self.require(0 < self.min_p <= 1, "min_p", "a share of the largest probability in (0, 1]; null is off")
        if self.top_n_sigma is not None:
            self.require(0 <= self.top_n_sigma < math.inf, "top_n_sigma", "a number of 0 or more; null is off")
        for name in ("epsilon_cutoff", "eta_cutoff"):
            value = getattr(self, name)
            self.require(value is None or 0 < value < 1, name, "a probability in (0, 1), both excluded; null is off")
        for name, share in (("typical_p", "probability mass"), ("top_h", "entropy")):
            value = getattr(self, name)
            self.require(value is None or 0 < value <= 1, name, f"a share of the {share} in (0, 1]; null is off")
        self.require(self.p_less in (None, *_P_LESS), "p_less", f"one of {', '.join(_P_LESS)}; null switches it off")
        self.require(self.order in _ORDERS, "order", f"one of {', '.join(_ORDERS)}")
        # Such a point would decode the same tokens as the one without an order, under another id.
        if self.order != _ORDERS[0] and not self.truncates:
            raise ConfigError(
                f"strategy '{self.family}': order is '{self.order}', but nothing is truncated; set one of "
                f"{', '.join(TRUNCATIONS)}, or leave order={_ORDERS[0]}."
            )
        # Last, since a family may read the shared parameters: EDT allows entropy_of="kept" only with truncate_first.
        self.check()

    @property
    def truncates(self) -> bool:
        """Whether any truncation is on."""
        return any(getattr(self, name) is not None for name in TRUNCATIONS)

    @abstractmethod
    def check(self) -> None:
        """Raise ConfigError unless the family's own parameters are in range."""

    @staticmethod
    @abstractmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return the temperature per row from its signals and parameters, [R] -> [R]; 0 means argmax."""

    @property
    def granularity(self) -> str:
        """How often the temperature is computed: at each token, or once per instance, at the prompt's end.

        A family that knows both has it as a field.
        """
        return "token"

    @property
    def is_constant(self) -> bool:
        """Whether these parameters make the rule a fixed temperature (for example EDT's θ = 0)."""
        return False

    @property
    def entropy_of(self) -> str:
        """The distribution whose entropy the rule reads: "raw" (all tokens) or "kept" (those left by truncation)."""
        return "raw"

    def params(self) -> dict[str, float | str]:
        """Return the parameters by name, without those that are unset, and without text at its default.

        The granularity is not among them: records have a separate column for it.
        """
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "granularity"}
        # Scoring recognizes the baseline by t0 alone (edt.scoring.eda_constants): a default order must not join it.
        defaults = {field.name: field.default for field in fields(self)}
        return {
            name: value
            for name, value in given.items()
            if value is not None and not (isinstance(value, str) and value == defaults[name])
        }

    @property
    def strategy_id(self) -> str:
        """Readable and unique, as `edt(t0=0.7,theta=0.5)`; parameters at their default are left out."""
        # The family's own parameters first, the shared truncation last.
        own = [field for field in fields(self) if field.name not in (*TRUNCATIONS, "order")]
        shared = [field for field in fields(self) if field.name in (*TRUNCATIONS, "order")]
        given = [
            f"{field.name}={_shortest_text(getattr(self, field.name))}"
            for field in own + shared
            if field.default is MISSING or getattr(self, field.name) != field.default
        ]
        return f"{self.family}({','.join(given)})"

    def check_chosen(self) -> None:  # noqa: B027 (most rules refuse nothing)
        """Raise ConfigError for parameters that a search may try, but that a person who writes them hardly means."""

    def require(self, condition: bool, name: str, allowed: str) -> None:
        """Raise ConfigError naming the family, the parameter, its value and what is allowed."""
        if not condition:
            raise ConfigError(
                f"strategy '{self.family}': {name} is {shown_value(getattr(self, name))}; it must be {allowed}."
            )

    def _as_declared(self, name: str, value: object) -> object:
        """Return a number as a float (top_k as an integer), so that 1 and 1.0 are the same point; text as it is."""
        # The annotation is a text, as `from __future__ import annotations` leaves it: "float | None".
        declared = str(type(self).__dataclass_fields__[name].type)
        if value is None and "None" in declared:
            return None
        if "str" in declared:
            # p_less=true, for one, is no number that is missing.
            if not isinstance(value, str):
                raise ConfigError(f"strategy '{self.family}': {name} is {shown_value(value)}; it must be a text.")
            return value
        # numbers.Real also takes NumPy's numbers, as of numpy.linspace; True would be the temperature 1.
        try:
            number = math.nan if isinstance(value, bool) or not isinstance(value, numbers.Real) else float(value)
        # A whole number of more than 308 digits.
        except OverflowError:
            number = math.nan
        if math.isnan(number):
            raise ConfigError(f"strategy '{self.family}': {name} is {shown_value(value)}; it must be a number.")
        if "int" not in declared:
            return number
        # A rank is a 32-bit integer in the tensors of a batch.
        # The range first, since int() of infinity raises OverflowError.
        if not -(2**31) < number < 2**31 or number != int(number):
            raise ConfigError(
                f"strategy '{self.family}': {name} is {shown_value(value)}; it must be a whole number below 2³¹."
            )
        return int(number)


def _shortest_text(value: float | str) -> str:
    """Return the shortest text that reads back as the same value."""
    if isinstance(value, str):
        return value
    # `g` keeps 6 digits: two points that differ in the seventh would share an id, and the second would not be decoded.
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def check_upper_temperature(strategy: Strategy, t0: float) -> None:
    """Raise ConfigError unless T0 of a dynamic rule is above 0 and finite; greedy decoding is a point of `fixed`."""
    # An error apart from the range: in a grid that begins at 0, all points of this t0 would be the same decoding.
    if t0 == 0:
        raise ConfigError(
            f"strategy '{strategy.family}': t0 is 0, which would be greedy decoding whatever the other parameters; "
            "raise it above 0; greedy decoding is a point of the family 'fixed' (fixed t0=0)."
        )
    strategy.require(0 < t0 < math.inf, "t0", "a temperature above 0")
