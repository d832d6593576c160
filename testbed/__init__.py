"""What tests and benchmarks share: the service, Redis and judges as real processes, faults for them, and texts.

The folders hold the fault suite (`chaos`), studies and attacks on their rewards (`abuse`), and what makes a vLLM server
with a tiny model (`vllm`). It may import the service, but nothing of `tests` or `benchmarks`, and is in no wheel.
"""
