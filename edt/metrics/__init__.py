"""Quality, diversity and their combination, each with a signature and an interval; without torch.

`edt.metrics.suite.METRICS` lists the metrics by name; `edt.metrics.base.Metric` is what one has to offer.
"""

__all__: list[str] = []
