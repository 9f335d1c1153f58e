"""LitServe, batching by its own max_batch_size and batch_timeout."""

from typing import Any

import litserve
from fastapi import Request

from benchmarks.peers.scoring import BATCH, PORT, WAIT_S, WORKERS, Scorer, scorer


class Peer(litserve.LitAPI):
    scorer: Scorer

    def setup(self, device: str) -> None:
        self.scorer = scorer()

    def decode_request(self, request: Request) -> dict[str, Any]:  # type: ignore[override]
        """What comes is the decoded JSON: the annotation asks LitServe for that."""
        return request

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return inputs

    def predict(self, asked: Any) -> Any:
        """One event where BATCH is 1, else a list of them."""
        return self.scorer.answers(asked) if BATCH > 1 else self.scorer.answers([asked])[0]

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    peer = Peer(max_batch_size=BATCH, batch_timeout=WAIT_S, api_path="/score")
    server = litserve.LitServer(
        peer, accelerator="cpu", workers_per_device=WORKERS, healthcheck_path="/ready", fast_queue=True
    )
    server.run(
        host="127.0.0.1", port=PORT, num_api_servers=WORKERS, generate_client_file=False, log_level="error",
        access_log=False,
    )  # fmt: skip
