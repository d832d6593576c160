"""What RL trainers send and what they expect: labels, references, chat markup, and one file for each dialect.

Pure functions without HTTP. May import `judges`, `contracts`, `text`, `settings` and `errors`.
"""

from reward_service.trainers import llama_factory, nemo_gym, openrlhf, slime

DIALECTS = (
    openrlhf.DIALECT,
    slime.NUMBER,
    slime.OBJECT,
    llama_factory.DIALECT,
    nemo_gym.DIALECT,
)
"""Every dialect that is served."""
