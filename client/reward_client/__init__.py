"""Client of the reward service: what a trainer's environment installs, with httpx as its only dependency.

`RewardClient` and `AsyncRewardClient` share one transport-free core; `reward_client.trainers` holds one small adapter
for each RL trainer.
"""

from reward_client.calls import Job
from reward_client.client import AsyncRewardClient, RewardClient
from reward_client.errors import (
    AnswerMismatch,
    ApiError,
    BudgetSpent,
    FingerprintChanged,
    MissingScore,
    RewardClientError,
)
from reward_client.types import Group, GroupScore, Item, Missing, Options, Score

__version__ = "0.1.0"

__all__ = [
    "AnswerMismatch",
    "ApiError",
    "AsyncRewardClient",
    "BudgetSpent",
    "FingerprintChanged",
    "Group",
    "GroupScore",
    "Item",
    "Job",
    "Missing",
    "MissingScore",
    "Options",
    "RewardClient",
    "RewardClientError",
    "Score",
]
