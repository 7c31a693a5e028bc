"""Writes rope.json: frequencies and magnitudes of rotary embeddings from transformers (modeling_rope_utils), rotated
vectors from its Llama, GLM and Phi-3 models, and the cosines of its Qwen2-VL and Qwen3-VL multimodal rotations.

Made with transformers 5.24.0 and torch 2.15.0. Run: python make_rope_golden.py > rope.json
"""
import json
from types import SimpleNamespace

import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS


def frequencies(name, head_dim, theta, parameters, seq_len=None, partial=None, max_position=131072):
    rope = {"rope_theta": theta, **parameters}
    if partial is not None:
        rope["partial_rotary_factor"] = partial
    config = LlamaConfig(hidden_size=head_dim * 4, num_attention_heads=4, head_dim=head_dim,
                         max_position_embeddings=max_position, rope_parameters=dict(rope))
    kind = rope["rope_type"]
    inverse, magnitude = ROPE_INIT_FUNCTIONS[kind](config, device="cpu", seq_len=seq_len)
    return {"name": name, "dimensions": 2 * len(inverse), "base": theta, "parameters": parameters,
            "seq_len": seq_len, "radians": inverse.tolist(), "magnitude": float(magnitude)}


def long_factors(pairs, top):
    return [round(1 + (top - 1) * (i / (pairs - 1)) ** 2, 4) for i in range(pairs)]


def frequency_cases():
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 8192}
    longrope = {"rope_type": "longrope", "factor": 32.0, "original_max_position_embeddings": 4096,
                "short_factor": long_factors(48, 2.5), "long_factor": long_factors(48, 60.0)}
    return [
        frequencies("linear", 64, 10000.0, {"rope_type": "linear", "factor": 4.0}),
        frequencies("linear, partial", 128, 10000.0, {"rope_type": "linear", "factor": 2.0}, partial=0.5),
        frequencies("yarn", 128, 1000000.0, yarn),
        frequencies("yarn, betas", 64, 10000.0, {**yarn, "beta_fast": 16.0, "beta_slow": 2.0,
                                                 "original_max_position_embeddings": 4096}),
        frequencies("yarn, attention factor", 64, 10000.0, {**yarn, "attention_factor": 1.25}),
        frequencies("yarn, mscale", 64, 10000.0, {**yarn, "factor": 40.0, "mscale": 0.707, "mscale_all_dim": 1.0,
                                                  "original_max_position_embeddings": 4096}),
        frequencies("yarn, one mscale alone", 64, 10000.0, {**yarn, "mscale": 0.707}),
        frequencies("yarn, tiny context", 32, 10000.0, {**yarn, "original_max_position_embeddings": 16}),
        frequencies("llama3", 128, 500000.0, llama3),
        frequencies("llama3.2", 64, 500000.0, {**llama3, "factor": 32.0}),
        frequencies("longrope short", 96, 10000.0, longrope, seq_len=4096),
        frequencies("longrope long", 96, 10000.0, longrope, seq_len=4097),
        frequencies("longrope, attention factor", 96, 10000.0, {**longrope, "attention_factor": 1.5}, seq_len=5000),
    ]


def rotated_cases():
    from transformers.models.glm import modeling_glm
    from transformers.models.llama import modeling_llama
    from transformers.models.phi3 import modeling_phi3

    torch.manual_seed(1)
    cases = []
    for name, module, rotated in (("halves", modeling_llama, 64), ("neighbours", modeling_glm, 32),
                                  ("halves", modeling_phi3, 48)):
        x = torch.randn(1, 1, 3, 64)
        positions = torch.tensor([[0, 7, 1000]])
        inverse = 1.0 / (10000.0 ** (torch.arange(0, rotated, 2).float() / rotated))
        angles = positions[0, :, None].float() * inverse[None]
        angles = torch.cat((angles, angles), dim=-1)[None]
        y, _ = module.apply_rotary_pos_emb(x, x, angles.cos(), angles.sin())
        cases.append({"pairs": name, "rotated": rotated, "positions": positions[0].tolist(),
                      "x": x[0, 0].tolist(), "y": y[0, 0].tolist()})
    return cases


def multimodal_cases():
    from transformers.models.qwen2_vl import modeling_qwen2_vl
    from transformers.models.qwen3_vl import modeling_qwen3_vl

    inverse = 1.0 / (10000.0 ** (torch.arange(0, 128, 2).float() / 128))
    positions = torch.tensor([3, 11, 29])
    angles = (positions[:, None].float() * inverse[None])[:, None, None, :]  # [3, batch, sequence, pairs]
    cases = []
    for layout, rotary, sections in (("consecutive", modeling_qwen2_vl.Qwen2VLRotaryEmbedding, [16, 24, 24]),
                                     ("interleaved", modeling_qwen3_vl.Qwen3VLTextRotaryEmbedding, [24, 20, 20])):
        settings = SimpleNamespace(mrope_section=sections)
        cos = rotary.recomposition_frequencies(settings, angles.cos()).flatten()[:64]
        sin = rotary.recomposition_frequencies(settings, angles.sin()).flatten()[:64]
        cases.append({"layout": layout, "sections": sections, "position": positions.tolist(),
                      "cos": cos.tolist(), "sin": sin.tolist()})
    return cases


if __name__ == "__main__":
    print(json.dumps({"frequencies": frequency_cases(), "rotated": rotated_cases(), "multimodal": multimodal_cases()}))
