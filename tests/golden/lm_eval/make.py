#!/usr/bin/env python3
"""What lm-evaluation-harness (PyPI lm-eval, its Hugging Face backend in float32) gives on general.jsonl.

  make.py OUT.json MODEL_FOLDER [NAME]

The task has the prompt and the delimiter of the harness's arc_easy, over local data. OUT.json holds the log-probability
of every choice of every item, acc and acc_norm. MODEL_FOLDER is a Hugging Face folder (`hone convert` makes one of a
GGUF file); where it has no tokenizer_config.json, a copy that names the plain tokenizer class is used.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import lm_eval
import torch
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = {
    "task": "general",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": str(HERE / "general.jsonl")}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_choice": "choices",
    "doc_to_target": "answer",
    "metric_list": [
        {"metric": "acc", "aggregation": "mean", "higher_is_better": True},
        {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": True},
    ],
}


def name_special_tokens(folder):
    """The backend asks for an end token by name."""
    config = json.loads((folder / "config.json").read_text())
    tokens = {i: t for t, i in json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"].items()}
    end = tokens[config["eos_token_id"]]
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": end, "pad_token": end}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))


def main():
    out, folder, name = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / "model"
        shutil.copytree(folder, copy)
        if not (copy / "tokenizer_config.json").exists():
            name_special_tokens(copy)
        torch.set_num_threads(1)
        model = HFLM(pretrained=str(copy), dtype="float32", device="cpu", batch_size=1)
        results = lm_eval.simple_evaluate(model=model, tasks=[ConfigurableTask(config=CONFIG)], bootstrap_iters=0)
    scores = results["results"]["general"]
    samples = sorted(results["samples"]["general"], key=lambda sample: sample["doc_id"])
    golden = {
        "harness": "lm-eval " + lm_eval.__version__,
        "model": name or folder.name,
        "acc": scores["acc,none"],
        "acc_norm": scores["acc_norm,none"],
        "log_probabilities": [[float(response[0]) for response in sample["filtered_resps"]] for sample in samples],
    }
    pathlib.Path(out).write_text(json.dumps(golden, indent=1) + "\n")
    print(golden["acc"], golden["acc_norm"])


main()
