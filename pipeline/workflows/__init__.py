"""What the bundle's YAML calls: before a run, around a run, and to place a network on its device."""

from pipeline.inference.backends import check_backend
from pipeline.inference.collate import collate_phases
from pipeline.workflows.backend import load_backend, usual_backend
from pipeline.workflows.device import check_cache_device, fast_in_16_bits, load_network, pins_memory, place, precision
from pipeline.workflows.evaluation import run_evaluation
from pipeline.workflows.finetune import encoder_slower, pretrained_network
from pipeline.workflows.inference import run_inference
from pipeline.workflows.members import fold_weights
from pipeline.workflows.processes import distribute, end_processes, rank_device, share_cases, start_processes
from pipeline.workflows.quantization import run_quantization
from pipeline.workflows.schedule import count_iterations, one_cycle
from pipeline.workflows.start import check_resume, initialize, preflight
from pipeline.workflows.training import run_training

__all__ = [
    "check_backend",
    "check_cache_device",
    "check_resume",
    "collate_phases",
    "count_iterations",
    "distribute",
    "encoder_slower",
    "end_processes",
    "fast_in_16_bits",
    "fold_weights",
    "initialize",
    "load_backend",
    "load_network",
    "one_cycle",
    "pins_memory",
    "place",
    "precision",
    "preflight",
    "pretrained_network",
    "rank_device",
    "run_evaluation",
    "run_inference",
    "run_quantization",
    "run_training",
    "share_cases",
    "start_processes",
    "usual_backend",
]
