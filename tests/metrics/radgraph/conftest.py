import pytest

pytest.importorskip("torch", reason="extra bertscore")
