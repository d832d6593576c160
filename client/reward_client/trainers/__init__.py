"""One module for each RL trainer: a few lines between the trainer's calling convention and `RewardClient`.

None imports its trainer; all functions are module-level, so that trainers can pickle them into worker processes.
"""
