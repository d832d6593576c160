"""RadGraph (Jain et al., NeurIPS Datasets 2021; RadGraph-XL: Delbrouck et al., ACL Findings 2024) and its F1.

A DyGIE++ model reads a report into a graph: words that are anatomy or observations, and how they relate. Models
`radgraph` and `radgraph-xl` give the annotations of the package `radgraph` 0.1.18; `modern-radgraph-xl` loads too,
but has never been compared with that package, whose own output under transformers 5 is reported wrong. No model was
run with its released weights here: equality was shown with random ones.
"""

from metrics.radgraph.annotation import Annotation, Entity
from metrics.radgraph.conversion import convert
from metrics.radgraph.metric import RadGraphF1
from metrics.radgraph.model import RadGraph

__all__ = ["Annotation", "Entity", "RadGraph", "RadGraphF1", "convert"]
