"""What a process does that the fixture ``launch`` starts: a command, as its JOB says."""

from __future__ import annotations

import importlib
import importlib.util
import os
import resource
import sys

import torch

job = globals()["JOB"]  # given by runpy

log = os.open(job["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
os.dup2(log, 1)
os.dup2(log, 2)
os.environ.update(job["environment"])
torch.set_num_threads(1)
if job["file_limit"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_limit"],) * 2)
if job["command"].endswith(".py"):
    spec = importlib.util.spec_from_file_location("small_run", job["command"])
    module = sys.modules["small_run"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
else:
    module = importlib.import_module(job["command"])
sys.exit(module.main(job["arguments"]))
