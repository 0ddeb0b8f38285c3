"""Put a model that was trained here among the checkpoints that the course ships."""

import json
import re
import shutil
import tempfile
from pathlib import Path

from utils import runtime
from utils.errors import CourseError
from utils.experiments import Record
from utils.report import formatting
from utils.report.selection import machine
from utils.sources.fingerprint import of_weights
from utils.sources.models import COURSE_MANIFEST, COURSE_NAMESPACE, WEIGHTS, trained_here
from utils.tasks import language_modelling

LARGEST_BYTES = 12_000_000
"""A clone of the course should stay small."""

_TITLES = {
    "mlm_loss": "loss on hidden tokens, nats",
    "unigram_loss": "the same of token frequencies alone (unigram), nats",
    "gain": "gain over them, nats",
    "accuracy": "hidden tokens guessed right",
    "nsp_accuracy_other_document": "next sentence, wrong one from another document: right",
    "nsp_accuracy_same_document": "next sentence, wrong one from the same document: right",
}


def ship(record: Record, name: str) -> Path:
    """Copy the weights behind `record` to `results/checkpoints/NAME`, with a model card.

    The card is written from the record: data and their licences, training, curve, evaluation.

    Raises:
        CourseError: if the record is no pre-training at profile full, its weights are not on this
            machine, or they are too large.
    """
    if record.spec.task != language_modelling.NAME or record.spec.profile != "full":
        raise CourseError(
            f"The record {record.key} ({record.spec.label()}) is no pre-training at profile full. "
            "Choose one of `course bench course-bert --profile full`."
        )
    weights = trained_here(record.key)
    if not (weights / WEIGHTS).is_file():
        raise CourseError(
            f"The weights of {record.key} are not here: they stay in runs/models/ of the machine "
            "that trained them. Run it here, or copy that folder."
        )
    size = sum(file.stat().st_size for file in weights.iterdir())
    if size > LARGEST_BYTES:
        raise CourseError(
            f"The checkpoint has {size / 1e6:.1f} MB, and {LARGEST_BYTES / 1e6:.0f} MB are the "
            "limit. Train a smaller model or vocabulary."
        )
    target = runtime.results_dir() / "checkpoints" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as temporary:
        new = Path(temporary) / name
        shutil.copytree(weights, new)
        (new / WEIGHTS).chmod(0o644)  # safetensors writes files that only their owner can read
        manifest = {"record": record.key, "sha256": of_weights(new / WEIGHTS)}
        (new / COURSE_MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        (new / "README.md").write_text(model_card(record, name), "utf-8")
        if target.exists():
            shutil.rmtree(target)
        new.replace(target)
    return target


_STARTS = {
    "counts": "token vectors from counts, first heads at neighbouring tokens",
    "neighbours": "first heads at neighbouring tokens",
    "bert": "all weights drawn as in BERT",
}
"""How a training begins (lesson 03, section 6)."""


def model_card(record: Record, name: str) -> str:
    """The model card of a checkpoint, in Markdown with the Hub's header."""
    source, hyper, cost = record.provenance["source"], record.spec.hyper, record.cost
    ids = record.spec.dataset.split(language_modelling.JOIN)
    # One line a data set; licences have semicolons of their own.
    starts = "|".join(re.escape(part) for part in ids)
    licences = [f"- {part}" for part in re.split(rf"; (?=(?:{starts}): )", source["licence"])]
    return "\n".join(
        [
            "---",
            "license: apache-2.0",
            "language: en",
            "pipeline_tag: fill-mask",
            f"datasets: [{', '.join(ids)}]",
            "---",
            f"# {name}",
            "",
            f"A small BERT, pre-trained from random weights by the code of lesson 03: "
            f"{hyper['n_layers']} layers of width {hyper['d_model']}, {hyper['n_heads']} heads, "
            f"{formatting.count(cost['parameters'])} parameters, a vocabulary of "
            f"{hyper['vocab_size']:,} lower-case word pieces, sequences of up to "
            f"{record.spec.max_length} tokens, weights in half precision. It has both heads of "
            "BERT (hidden tokens, next sentence).",
            "",
            "```python",
            "from transformers import AutoModelForPreTraining, AutoTokenizer",
            f'model = AutoModelForPreTraining.from_pretrained("results/checkpoints/{name}")',
            "```",
            "",
            f"In the course its name is `{COURSE_NAMESPACE}/{name}`.",
            "",
            "## Data",
            "",
            *licences,
            "",
            "OpenStax textbooks: OpenStax, Rice University; access for free at openstax.org. "
            "Novels: European Literary Text Collection (ELTeC), COST Action CA16204. The text is "
            f"not part of this folder. Content `{source['fingerprint']}`; whole documents were "
            "held out.",
            "",
            "## Training",
            "",
            f"{cost['optimiser_steps']:,.0f} updates of {hyper['batch_size']} sequences, "
            f"{formatting.count(cost['tokens_seen'])} tokens, "
            f"{formatting.power_of_ten(cost['flops'])} FLOPs, {cost['wall_seconds'] / 60:.0f} "
            f"minutes on {machine(record)}. {hyper['rate']:.0%} of the tokens hidden, of these "
            f"{hyper['mask_share']:.0%} by [MASK]; wrong next sentences from "
            f"{str(hyper['negatives']).replace('-', ' ')}s; {hyper['optimizer']}, learning rate "
            f"{hyper['learning_rate']:g}, climbing over the first {hyper['warmup']:.0%} of the "
            f"updates; {_STARTS[str(hyper['start'])]}. All settings: `course show {record.key}`.",
            "",
            "| updates | loss in training | held-out loss of hidden tokens | gain |",
            "|---:|---:|---:|---:|",
            *(
                f"| {point['step']:,.0f} | {point['loss']:.3f} | {point['mlm_loss']:.3f} | "
                f"{point['gain']:.3f} |"
                for point in record.curve
            ),
            "",
            "## Evaluation on held-out documents",
            "",
            "| measured | |",
            "|---|---:|",
            *(
                f"| {title} | {record.metrics[metric]:.3f} |"
                for metric, title in _TITLES.items()
                if metric in record.metrics
            ),
            "",
            "How it transfers to sentiment and topics, beside random weights: lesson 03 and "
            "`results/README.md`.",
            "",
            "## Limits",
            "",
            "Made for teaching. All that it has read are school books of today and novels of "
            "1840–1920, with their views of people and the world, and few of either. It is not for "
            "use in decisions about people.",
            "",
        ]
    )
