"""Where workers run: the configuration group `cluster`. How many there are is `engine.workers`."""

from __future__ import annotations

from dataclasses import dataclass

from edt.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """The machines of the workers; null: this one."""

    address: str | None = None
    """auto: join the Ray cluster that this machine is part of; HOST:PORT: another one; null: this machine alone."""
    mixed: bool = False
    """true: let workers on different devices or with other versions decode parts of one run; each part names its own.
    """

    def __post_init__(self) -> None:
        if self.address is not None and (self.address == "local" or not self.address.strip()):
            raise ConfigError(
                f"cluster.address is '{self.address}'; it must be auto or HOST:PORT; without it, workers run "
                "on this machine."
            )
