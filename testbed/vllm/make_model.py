"""Makes the tiny language model that the tests serve with vLLM: four million random parameters.

It answers nonsense, but nonsense that obeys the JSON schema, which is all that a test of the client
needs: the transport, the schema, the mapping and the failures are real, only the medicine is not.
"""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path

VOCABULARY = 4096
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def synthetic_text() -> list[str]:
    """Sentences in the manner of reports and of the judge's answers, to train the tokenizer on."""
    findings = ["effusion", "pneumothorax", "consolidation", "edema", "nodule", "mass", "opacity", "fracture"]
    sides = ["left", "right", "bilateral", "left lower lobe", "right upper lobe", "retrocardiac"]
    grades = ["small", "mild", "moderate", "large", "trace", "severe", "unchanged", "new", "worsening"]
    lines = [
        f"{grade} {side} {finding}. No {other}. The lungs are clear. Heart size is normal."
        for grade, side, finding, other in itertools.product(grades, sides, findings, findings[:4])
    ]
    lines += [
        f'{{"matched":[{{"ref":"R{i}","cand":"P{i}"}}],"false":["P{i}"],"missing":["R{i}"],"significant":true}}'
        for i in range(60)
    ]
    # The judge's own instructions, if the tree has them, so that prompts are not all single letters.
    prompts = Path(__file__).resolve().parents[2] / "judges" / "vllm"
    lines += [line for path in sorted(prompts.glob("*.txt")) for line in path.read_text("utf-8").splitlines()]
    random.Random(0).shuffle(lines)
    return lines


def main(folder: Path) -> None:
    """Writes the tokenizer, the configuration and the weights of the model into `folder`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=specials, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(synthetic_text(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=specials,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        eos_token_id=specials.index("<|im_end|>"),
        pad_token_id=specials.index("<|endoftext|>"),
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
