"""Two products and a wait."""

import json

import torch

from devices.on_null_gpu import counted, waits

with counted() as found, waits() as places:
    made = torch.zeros(4, 4, device="cuda") @ torch.zeros(4, 4, device="cuda")
    made.sum().item()
print(json.dumps({"gemms": found["gemms"], "waits": list(places.values()), "memory": torch.cuda.mem_get_info()[1]}))
