"""What schemathesis can't know of the API: which runs there are, and that a key is for one request."""

import json
import os
import random
import re
import urllib.request
import uuid

import schemathesis

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def real_run() -> str | None:
    with urllib.request.urlopen(os.environ["FLUID_API"] + "/runs?limit=100") as answer:
        runs = json.load(answer)["runs"]
    return random.choice(runs)["id"] if runs else None


@schemathesis.hook
def before_call(context, case, kwargs) -> None:
    # Most ids that are well formed become those of runs that are there.
    run = str(case.path_parameters.get("run", ""))
    if UUID.fullmatch(run) and random.random() < 0.8:
        case.path_parameters["run"] = real_run() or run
    key = case.headers.get("Idempotency-Key") if case.headers else None
    if key and re.fullmatch(r"[!-~]{1,200}", str(key)):
        case.headers["Idempotency-Key"] = f"{key}-{uuid.uuid4()}"
    elif key and re.fullmatch(r"[!-~]{1,100}", str(key).strip()):
        # White space around a value is none of it (RFC 9110, section 5.5); within, it stays as wrong as it was meant.
        case.headers["Idempotency-Key"] = f"{key.strip()} {key.strip()}"
