"""Write a setting with all parameters that its grid varies, also those at their default, which an id leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def setting_texts(settings: Sequence[tuple[str, str, Mapping[str, float | str]]]) -> list[str]:
    """Return each setting, given by family, id and parameters, with what other settings of its family write.

    In a grid of c, `tempered(t0=0.9)` becomes `tempered(t0=0.9,c=1)`, in line with `tempered(t0=0.9,c=2)`.
    """
    written = [_written_parameters(strategy_id) for _, strategy_id, _ in settings]
    # A parameter that no id of the family writes has another meaning there: random_t writes its bounds, not its center.
    known: dict[str, set[str]] = {}
    for (family, _, _), names in zip(settings, written, strict=True):
        known.setdefault(family, set()).update(names)

    texts = []
    for (family, strategy_id, params), names in zip(settings, written, strict=True):
        added = [name for name in params if name in known[family] and name not in names]
        inside = ",".join(f"{name}={_value_text(params[name])}" for name in added)
        # An id without parameters has no comma before the first one.
        head = strategy_id.removesuffix(")")
        joint = "" if head.endswith("(") else ","
        texts.append(f"{head}{joint}{inside})" if added else strategy_id)
    return texts


def _written_parameters(strategy_id: str) -> list[str]:
    """Return the names of the parameters that an id such as `edt(t0=0.7,theta=0.5)` writes; none for another form."""
    _, opened, inside = strategy_id.removesuffix(")").partition("(")
    complete = opened and strategy_id.endswith(")")
    return [part.partition("=")[0] for part in inside.split(",") if "=" in part] if complete else []


def _value_text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
