"""Tiny random models of every family, with float32 reference logits.

Usage: make_tiny_models.py OUT_FOLDER        (needs torch, transformers, tokenizers, safetensors, gguf from PyPI)
For each case: OUT/NAME/ is a Hugging Face folder (bfloat16 weights, so that a file holds exactly what the reference
multiplies), OUT/NAME.gguf the same weights under GGUF's names and conventions, and OUT/NAME/reference.safetensors has
`tokens` [n] and `logits` [n, vocabulary] of transformers with eager attention in float32.
"""
import json
import os
import shutil
import sys

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, MistralConfig,
                          MistralForCausalLM, Phi3Config, Phi3ForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM)

VOCABULARY = 288
COMMON = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
              num_key_value_heads=1, max_position_embeddings=256, bos_token_id=0, eos_token_id=1, pad_token_id=1,
              tie_word_embeddings=False)
LONG = [1.0 + 0.4 * i for i in range(16)]
SHORT = [1.0 + 0.05 * i for i in range(16)]


def config(cls, **changes):
    return cls(**{**COMMON, **changes})


CASES = {
    "llama": (LlamaForCausalLM, config(LlamaConfig)),
    "llama3-scaled": (LlamaForCausalLM, config(LlamaConfig, rope_theta=500000.0, rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32})),
    "llama-linear": (LlamaForCausalLM, config(LlamaConfig, rope_scaling={"rope_type": "linear", "factor": 4.0})),
    "mistral-window": (MistralForCausalLM, config(MistralConfig, sliding_window=8)),
    "qwen2": (Qwen2ForCausalLM, config(Qwen2Config, tie_word_embeddings=True, num_key_value_heads=2)),
    "qwen2-yarn": (Qwen2ForCausalLM, config(Qwen2Config, rope_scaling={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64})),
    "qwen3": (Qwen3ForCausalLM, config(Qwen3Config, head_dim=48)),
    "gemma3": (Gemma3ForCausalLM, config(Gemma3TextConfig, num_hidden_layers=3, head_dim=32, sliding_window=8,
                                         query_pre_attn_scalar=32, tie_word_embeddings=True, rope_theta=1e6,
                                         layer_types=["sliding_attention", "sliding_attention", "full_attention"])),
    "phi3-short": (Phi3ForCausalLM, config(Phi3Config, original_max_position_embeddings=64, rope_scaling={
        "rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG})),
    "phi3-long": (Phi3ForCausalLM, config(Phi3Config, original_max_position_embeddings=16, rope_scaling={
        "rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG})),
    "phi3-partial": (Phi3ForCausalLM, config(Phi3Config, partial_rotary_factor=0.75, sliding_window=8)),
}


def make_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator(["the quick brown fox jumps over the lazy dog and then the other one"] * 9, trainer)
    return tokenizer


def gguf_name(name):
    for old, new in [("model.embed_tokens", "token_embd"), ("lm_head", "output"), ("model.norm", "output_norm"),
                     ("model.layers.", "blk."), ("input_layernorm", "attn_norm"), ("self_attn.q_proj", "attn_q"),
                     ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"),
                     ("self_attn.qkv_proj", "attn_qkv"), ("self_attn.q_norm", "attn_q_norm"),
                     ("self_attn.k_norm", "attn_k_norm"), ("pre_feedforward_layernorm", "ffn_norm"),
                     ("post_feedforward_layernorm", "post_ffw_norm"), ("mlp.gate_up_proj", "ffn_up"),
                     ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down")]:
        name = name.replace(old, new)
    return name


def write_gguf(path, name, cfg, tensors, vocabulary, merges):
    arch = {"mistral": "llama", "gemma3_text": "gemma3"}.get(cfg.model_type, cfg.model_type)
    writer = gguf.GGUFWriter(path, arch)
    head_dim = getattr(cfg, "head_dim", None) or cfg.hidden_size // cfg.num_attention_heads
    writer.add_block_count(cfg.num_hidden_layers)
    writer.add_context_length(cfg.max_position_embeddings)
    writer.add_embedding_length(cfg.hidden_size)
    writer.add_feed_forward_length(cfg.intermediate_size)
    writer.add_head_count(cfg.num_attention_heads)
    writer.add_head_count_kv(cfg.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(cfg.rms_norm_eps)
    rope = cfg.rope_parameters
    if arch == "gemma3":
        writer.add_sliding_window(cfg.sliding_window)
        writer.add_uint32("gemma3.attention.sliding_window_pattern", 3)
        rope = rope["full_attention"]
    rotated = int(head_dim * rope.get("partial_rotary_factor", 1.0))
    writer.add_rope_dimension_count(rotated)
    writer.add_rope_freq_base(rope["rope_theta"])
    kind = rope["rope_type"]
    if kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if kind == "longrope":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_tensor("rope_factors_long.weight", np.array(rope["long_factor"], dtype=np.float32))
        writer.add_tensor("rope_factors_short.weight", np.array(rope["short_factor"], dtype=np.float32))
    if kind == "llama3":
        theta = rope["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim) * 2 * np.pi  # wave lengths
        low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
        high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
        smooth = (rope["original_max_position_embeddings"] / theta - rope["low_freq_factor"]) / (
            rope["high_freq_factor"] - rope["low_freq_factor"])
        middle = 1 / ((1 - smooth) / rope["factor"] + smooth)
        factors = np.where(theta < high, 1.0, np.where(theta > low, rope["factor"], middle))
        writer.add_tensor("rope_freqs.weight", factors.astype(np.float32))
    if getattr(cfg, "sliding_window", None) and arch == "phi3":
        writer.add_sliding_window(cfg.sliding_window)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (len(vocabulary) - 2))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for key, value in tensors.items():
        if key == "lm_head.weight" and cfg.tie_word_embeddings:
            continue
        new = gguf_name(key)
        if arch != "gemma3":
            new = new.replace("post_attention_layernorm", "ffn_norm")
        new = new.replace("post_attention_layernorm", "post_attention_norm")
        data = value.float().numpy()
        if arch == "gemma3" and "norm" in new:
            data = data + 1.0
        if arch == "llama" and (".attn_q." in new or ".attn_k." in new):
            heads = cfg.num_attention_heads if ".attn_q." in new else cfg.num_key_value_heads
            data = data.reshape(heads, 2, head_dim // 2, -1).swapaxes(1, 2).reshape(data.shape)
        if data.ndim == 1:
            writer.add_tensor(new, data.astype(np.float32))
        else:
            writer.add_tensor(new, gguf.quants.quantize(data, gguf.GGMLQuantizationType.BF16),
                              raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    out = sys.argv[1]
    tokenizer = make_tokenizer()
    raw = json.loads(tokenizer.to_str())
    vocabulary = [t for t, _ in sorted(raw["model"]["vocab"].items(), key=lambda item: item[1])]
    merges = [m if isinstance(m, str) else " ".join(m) for m in raw["model"]["merges"]]
    for index, (name, (cls, cfg)) in enumerate(CASES.items()):
        torch.manual_seed(index)
        cfg._attn_implementation = "eager"
        model = cls(cfg).eval()
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if parameter.ndim == 1 and "norm" in key:
                    parameter.add_(torch.randn_like(parameter) * 0.2)
                else:
                    parameter.normal_(0.0, 1.0 / parameter.shape[-1] ** 0.5)
                parameter.copy_(parameter.to(torch.bfloat16).float())  # the rotation's frequencies stay float32
        folder = os.path.join(out, name)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        tokens = torch.randint(2, VOCABULARY, (40,))
        with torch.no_grad():
            logits = model(tokens[None]).logits[0]
        save_file({"tokens": tokens.to(torch.int32), "logits": logits.contiguous()},
                  os.path.join(folder, "reference.safetensors"))
        model.to(torch.bfloat16).save_pretrained(folder)
        for extra in ("generation_config.json",):
            path = os.path.join(folder, extra)
            if os.path.exists(path):
                os.remove(path)
        tokenizer.save(os.path.join(folder, "tokenizer.json"))
        write_gguf(os.path.join(out, name + ".gguf"), name, cfg, load_file(os.path.join(folder, "model.safetensors")),
                   vocabulary, merges)
        print(name, float(logits.abs().max()))


if __name__ == "__main__":
    main()
