"""Ways to earn a reward without a better report: the studies, written for this project, and the attacks on them."""
