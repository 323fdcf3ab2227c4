"""Micro-batching: requests that come at the same time go through the model together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

import fnet


class Overloaded(Exception):
    """More rows wait than may wait."""


@dataclass
class Job:
    """The rows of a request, and where their answer goes."""

    rows: np.ndarray
    answer: asyncio.Future


class Batcher:
    """Runs a model on what has come in, at most `most` rows at a time, in one thread.

    While the model runs, requests collect; so batches grow with the load, and a lone request waits for `window` seconds
    only. Requests with rows of another shape are a batch of their own. A request with a row that has no answer fails
    alone. More than `waiting` rows at a time are refused.
    """

    def __init__(self, run: Callable[[Any], Any], most: int = 64, window: float = 0.001, waiting: int = 4096) -> None:
        self.run, self.most, self.window, self.waiting = run, most, window, waiting
        self.jobs: asyncio.Queue[Job] = asyncio.Queue()
        self.rows = self.batches = self.in_line = 0
        self.thread = ThreadPoolExecutor(1)

    async def predict(self, rows: np.ndarray) -> Any:
        """What the model gives for the rows. Raises Overloaded, fnet.InvalidInput."""
        if self.in_line + len(rows) > self.waiting:
            raise Overloaded
        self.in_line += len(rows)
        job = Job(rows, asyncio.get_running_loop().create_future())
        self.jobs.put_nowait(job)
        try:
            return await job.answer
        finally:
            self.in_line -= len(rows)

    async def serve(self) -> None:
        """Answer jobs until cancelled."""
        while True:
            jobs = [await self.jobs.get()]
            if self.jobs.empty() and self.window:
                await asyncio.sleep(self.window)
            while not self.jobs.empty() and sum(len(job.rows) for job in jobs) < self.most:
                jobs.append(self.jobs.get_nowait())
            groups: dict[Any, list[Job]] = {}
            for job in jobs:
                if not job.answer.cancelled():
                    groups.setdefault((job.rows.shape[1:], job.rows.dtype), []).append(job)
            for group in groups.values():
                await self._together(group)

    async def _together(self, jobs: list[Job]) -> None:
        """Run jobs as one batch; where that fails, each alone, so that the one that is wrong fails alone."""
        rows = np.concatenate([job.rows for job in jobs])
        task = asyncio.get_running_loop().run_in_executor(self.thread, self.run, rows)
        await asyncio.wait([task])
        error = task.exception()
        if error is not None and len(jobs) > 1:
            for job in jobs:
                await self._together([job])
        elif error is not None:
            if not jobs[0].answer.done():
                jobs[0].answer.set_exception(error)
        else:
            self.batches += 1
            self.rows += len(rows)
            start = 0
            for job in jobs:
                end = start + len(job.rows)
                if not job.answer.done():  # nobody waits any more
                    job.answer.set_result(_part(task.result(), start, end))
                start = end


def _part(y: Any, start: int, end: int) -> Any:
    return fnet.tree.map(lambda a: a[start:end], y)
