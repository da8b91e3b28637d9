"""Every check of infra/deploy, then the planted faults. Run by tests/deploy/run."""

import sys
import time
from pathlib import Path

import compose
import image
import kubernetes
import monitoring
import planted
import settings

ROOT = Path(__file__).resolve().parents[2]

CHECKS = {
    "the manifests are what Kubernetes takes, and hang together": kubernetes.findings,
    "the compose file follows its specification": compose.findings,
    "the image is built from every crate": image.findings,
    "the settings are what logystera takes": settings.findings,
    "alert rules and dashboard ask for what is there": monitoring.findings,
}


def main() -> int:
    failed = 0
    for what, findings in CHECKS.items():
        start = time.monotonic()
        found = findings(ROOT)
        print(f"{'FAILED' if found else 'ok':7}{what} ({time.monotonic() - start:.1f} s)")
        for finding in found:
            print(f"       {finding}")
        failed += bool(found)
    if failed:
        # A fault that is planted among others proves nothing.
        return 1
    missed = planted.missed(ROOT)
    for fault in missed:
        print(f"MISSED {fault}")
    passed = len(CHECKS) + len(planted.FAULTS) - len(missed)
    print(f"{passed} passed, {len(missed)} failed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
