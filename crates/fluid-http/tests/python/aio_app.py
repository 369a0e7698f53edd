"""aio-fluid itself, with the tasks of aio/side.rs, on the Redis and the PostgreSQL that the test gives it.

Prints the port it listens on, and ends when its standard input does.
"""

import asyncio
import os
import socket
import sys
import threading
from datetime import timedelta

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from fluid.db.crud import CrudDB
from fluid.scheduler import TaskConsumer, TaskRun, every, task
from fluid.scheduler.db import TaskDbPlugin
from fluid.scheduler.endpoints import task_manager_fastapi


class Numbers(BaseModel):
    a: int
    b: int = 0


class Text(BaseModel):
    text: str
    loud: bool = False


@task(tags=["net", "quick"])
async def ping(context: TaskRun) -> None:
    """Answers."""


@task(tags=["math", "quick"], priority="high")
async def add(context: TaskRun[Numbers]) -> None:
    """Adds two numbers."""


@task(schedule=every(timedelta(hours=1)))
async def shout(context: TaskRun[Text]) -> None:
    """Says it loud."""
    if not context.params.text:
        raise RuntimeError("nothing to say")


def create_app() -> FastAPI:
    db = CrudDB.from_env(dsn=os.environ["DATABASE"])
    consumer = TaskConsumer(
        broker_url=os.environ["FLUID_BROKER_URL"], schedule_tasks=False
    )
    for one in (ping, add, shout):
        consumer.register_task(one)
    consumer.with_plugin(TaskDbPlugin(db))
    asyncio.run(create_tables(db))
    return task_manager_fastapi(consumer)


async def create_tables(db: CrudDB) -> None:
    async with db.engine.begin() as connection:
        await connection.run_sync(db.metadata.create_all)
    await db.engine.dispose()


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(
        target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True
    ).start()
    config = uvicorn.Config(create_app(), log_level="critical")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


main()
