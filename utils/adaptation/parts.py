"""Which weights of a pre-trained encoder are trained, and which are added to it.

A `Part` is a function that prepares an encoder in place: what stays as it was has
`requires_grad=False` afterwards. Where the lowest layers stay, no gradient is computed for them.
"""

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

from utils.adaptation.method import Hyper
from utils.errors import CourseError

Part = Callable[[Any, Hyper], None]


def blocks(encoder: nn.Module) -> list[nn.Module]:
    """Embeddings and layers of an encoder of the library, from the bottom up.

    Raises:
        CourseError: for a model that is built otherwise than BERT, RoBERTa, ELECTRA or DistilBERT.
    """
    stack = getattr(encoder, "encoder", None) or getattr(encoder, "transformer", None)
    layers = getattr(stack, "layer", None)
    if not isinstance(layers, nn.ModuleList):
        raise CourseError(
            f"Where the layers of a {type(encoder).__name__} are is not known here. Choose a model "
            "like BERT, or a method that trains all weights."
        )
    return [cast("nn.Module", encoder.embeddings), *layers]


def everything(encoder: Any, hyper: Hyper) -> None:
    """All weights: fine-tuning as in Devlin et al. (2019)."""


def nothing(encoder: Any, hyper: Hyper) -> None:
    """No weights of the encoder: only what stands on it is trained."""
    encoder.requires_grad_(False)


def top_layers(encoder: Any, hyper: Hyper) -> None:
    """The highest `top_layers` layers.

    Raises:
        CourseError: if there are not so many.
    """
    below, n = blocks(encoder), hyper["top_layers"]
    if not 0 < n < len(below):
        raise CourseError(f"The encoder has {len(below) - 1} layers; top_layers is {n}.")
    for block in below[:-n]:
        block.requires_grad_(False)


def biases(encoder: Any, hyper: Hyper) -> None:
    """Biases only, those of layer norms included: BitFit (Ben Zaken et al., 2022, ACL)."""
    for name, weights in encoder.named_parameters():
        weights.requires_grad_(name.endswith("bias"))


def lora(encoder: Any, hyper: Hyper) -> None:
    r"""Add $\frac{\alpha}{r} B A$ to the matrices of queries and values (Hu et al., 2022, ICLR).

    $A$ is (`rank`, d_model), $B$ is (d_model, `rank`) and begins at 0. By the library PEFT.
    """
    from peft import LoraConfig, inject_adapter_in_model

    names = {name.rsplit(".", 1)[-1] for name, _ in encoder.named_modules()}
    targets = [name for name in ("query", "value", "q_lin", "v_lin") if name in names]
    config = LoraConfig(r=hyper["rank"], lora_alpha=hyper["alpha"], target_modules=targets)
    inject_adapter_in_model(config, encoder)
    for name, weights in encoder.named_parameters():
        weights.requires_grad_("lora_" in name)


class Adapter(nn.Module):
    """A bottleneck with a path around it, which begins as nearly nothing (Houlsby et al., 2019)."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        for linear in (self.down, self.up):
            nn.init.normal_(linear.weight, std=1e-3)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → (…, width)."""
        return x + self.up(nn.functional.gelu(self.down(x)))


_SUBLAYERS = ("attention.output.dense", "output.dense")
"""Last matrices of attention and of the feed-forward network in a layer of BERT."""


def adapters(encoder: Any, hyper: Hyper) -> None:
    """Adapters of width `bottleneck` after both sublayers, and layer norms (Houlsby et al., 2019).

    Raises:
        CourseError: if the layers are built otherwise than those of BERT.
    """
    encoder.requires_grad_(False)
    for layer in blocks(encoder)[1:]:
        for name in _SUBLAYERS:
            parent_name, _, last = name.rpartition(".")
            try:
                parent = layer.get_submodule(parent_name)
                dense = cast("nn.Linear", parent.get_submodule(last))
            except AttributeError as error:
                kind = type(encoder).__name__
                raise CourseError(f"A {kind} has no {name} to add adapters to.") from error
            setattr(
                parent, last, nn.Sequential(dense, Adapter(dense.out_features, hyper["bottleneck"]))
            )
        for module in layer.modules():
            if isinstance(module, nn.LayerNorm | Adapter):
                module.requires_grad_(True)


def unfrozen_blocks(update: int, n_updates: int, n_blocks: int, unfrozen_by: float) -> int:
    """How many of the highest blocks are trained at an update: gradual unfreezing.

    The classifier alone at first, then one block more at a time (Howard and Ruder, 2018, ACL), all
    from the share `unfrozen_by` of the updates on.
    """
    done = update / (unfrozen_by * n_updates)
    return min(n_blocks, int(done * n_blocks))


def decayed_rates(encoder: nn.Module, decay: float) -> list[tuple[list[nn.Parameter], float]]:
    """Weights of each block with the factor of their learning rate, from the bottom up.

    The highest layer has the factor 1, each one below it `decay` times that of the one above (Sun
    et al., 2019, CCL, section 5.3.4; Howard and Ruder, 2018, call it discriminative fine-tuning).
    """
    stack = blocks(encoder)
    return [
        (list(block.parameters()), decay ** (len(stack) - 1 - number))
        for number, block in enumerate(stack)
    ]


def n_frozen(encoder: nn.Module) -> int:
    """How many blocks there are below the lowest with a trained weight, the embeddings counted."""
    trained = [any(p.requires_grad for p in block.parameters()) for block in blocks(encoder)]
    return trained.index(True) if any(trained) else len(trained)


def backward_share(encoder: nn.Module) -> float:
    """Operations of the backward pass, in forward passes through all layers; 2 if all are trained.

    One for gradients of activations, from the last layer down to the lowest that is trained, and
    one for gradients of weights, by the share of the matrices that are trained.
    """
    layers = blocks(encoder)[1:]
    matrices = [p for layer in layers for p in layer.parameters() if p.ndim == 2]
    n_trained = sum(p.numel() for p in matrices if p.requires_grad)
    return 1 - frozen_share(encoder) + n_trained / sum(p.numel() for p in matrices)


def frozen_share(encoder: nn.Module) -> float:
    """The share of the layers that are below the lowest with a trained weight."""
    n_layers = len(blocks(encoder)) - 1
    return max(0, n_frozen(encoder) - 1) / n_layers
