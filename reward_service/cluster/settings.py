"""How a service is spread over a Ray cluster: one object, the `args` of a Serve application."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from reward_service.api.auth import accepted_keys, require_safe_address
from reward_service.scoring import assembly
from reward_service.settings import Settings


class Replicas(BaseModel):
    """Of one deployment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: int = Field(1, ge=1, description="replicas at least")
    most: int = Field(4, ge=1, description="replicas at most")
    pairs: int = Field(
        512, ge=1, description="pairs in work that one replica should have; more replicas follow from it"
    )
    cpus: float = Field(1.0, ge=0, description="CPUs of each")
    gpus: float = Field(0.0, ge=0, description="GPUs of each, also a fraction of one; for models only")


class ClusterSettings(BaseModel):
    """All that the application is made of. Replicas do not look at the environment of their machines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: dict[str, Any] = Field(
        default_factory=dict, description="settings of the service; what is left out is REWARD_* where `build` runs"
    )
    ingress: Replicas = Field(default_factory=Replicas, description="HTTP, text metrics and rules")
    models: Replicas = Field(default_factory=Replicas, description="each model component has so many of its own")
    fingerprints: dict[str, str] = Field(
        default_factory=dict, description="of profiles, which replicas must have; default: what `build` computes"
    )

    def of_service(self) -> Settings:
        """What every replica is started with.

        Ray shows each replica the GPU that is its own, so a model's device is ``cuda`` where models have one. Raises
        `ConfigurationError` for what no replica could serve, for a service without keys, and for an LLM judge without
        Redis, because each replica would have verdicts of its own.
        """
        device = {"device": "cuda" if self.models.gpus else "cpu"}
        threads = {"torch_threads": max(1, int(self.models.cpus)), "pool_workers": max(0, int(self.ingress.cpus) - 1)}
        settings = Settings(**{**threads, **self.service, **device})
        # Serve's proxies listen where the cluster's configuration says: that of KubeRay is every address.
        require_safe_address("0.0.0.0", accepted_keys(settings), settings.insecure)
        assembly.check(settings.model_copy(update={"workers": self.ingress.most}))
        return settings
