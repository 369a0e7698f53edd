"""Enqueues the work for every file in inbox/; a file that was seen before is the same run again, not a new one."""

import json
import os
import pathlib
import subprocess

inbox = pathlib.Path("inbox")
inbox.mkdir(exist_ok=True)
pathlib.Path("out").mkdir(exist_ok=True)

names = sorted(path.name for path in inbox.iterdir() if path.is_file() and not path.name.startswith("."))
for task in ("words", "pack"):
    if names:
        batch = "".join(json.dumps({"file": name}) + "\n" for name in names)
        fluid = [os.environ["FLUID_CLI"], "enqueue", task, "--many", "-"]
        subprocess.run(fluid, input=batch, text=True, check=True)

result = os.environ.get("FLUID_RESULT_PATH")
if result:
    pathlib.Path(result).write_text(json.dumps({"files": len(names)}))
