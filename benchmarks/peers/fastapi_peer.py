"""Plain FastAPI under uvicorn, with a small queue of its own where it shall batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.scoring import BATCH, DURABLE, PORT, WAIT_S, WORKERS, scorer

Waiting = tuple[dict[str, Any], asyncio.Future[dict[str, Any]]]


class EventIn(BaseModel):
    event_id: str
    type: str
    occurred_at: str
    card_token: str
    amount_minor: int
    currency: str
    merchant_id: str
    terminal_id: str
    mcc: str
    country: str
    entry_mode: str
    channel: str


class Answer(BaseModel):
    event_id: str
    decision: str
    score: float


class Batcher:
    """Whoever waits, to BATCH of them, after WAIT_S for company, goes to the model together."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Waiting] = asyncio.Queue()
        # The database's answer is waited for elsewhere, so that requests are read meanwhile.
        self.pool = ThreadPoolExecutor(1)

    async def answer(self, sent: dict[str, Any]) -> dict[str, Any]:
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((sent, future))
        return await future

    async def work(self) -> None:
        while True:
            batch = await self._next()
            try:
                answers = await self._answers([sent for sent, _ in batch])
            except Exception as error:
                for _, future in batch:
                    future.set_exception(error)
            else:
                for (_, future), answer in zip(batch, answers, strict=True):
                    future.set_result(answer)

    async def _next(self) -> list[Waiting]:
        batch = [await self.queue.get()]
        if BATCH > 1 and WAIT_S and self.queue.qsize() < BATCH - 1:
            await asyncio.sleep(WAIT_S)
        while len(batch) < BATCH and not self.queue.empty():
            batch.append(self.queue.get_nowait())
        return batch

    async def _answers(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not DURABLE:
            await asyncio.sleep(0)  # who was answered before is heard of first
            return scorer().answers(events)
        return await asyncio.get_running_loop().run_in_executor(self.pool, scorer().answers, events)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    scorer()
    app.state.batcher = Batcher()
    working = asyncio.create_task(app.state.batcher.work())
    yield
    working.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/score")
async def score(event: EventIn) -> Answer:
    return Answer(**await app.state.batcher.answer(event.model_dump()))


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


if __name__ == "__main__":
    uvicorn.run(
        "benchmarks.peers.fastapi_peer:app", host="127.0.0.1", port=PORT, workers=WORKERS, loop="uvloop",
        http="httptools", access_log=False, log_level="error",
    )  # fmt: skip
