"""Fuzz one decoder, guided by coverage: `python tests/fuzz/campaign.py TARGET SECONDS FOLDER`.

New inputs are kept in FOLDER and used by the next campaign. Ends with 0 if no
input broke the target; otherwise the input stands in FOLDER as `crash-<sha1>`.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["yidao"]):
    from fuzz.targets import TARGETS


def main(name: str, seconds: int, folder: Path) -> None:
    """Run libFuzzer on a target for so many seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        "-max_len=65536",
        "-timeout=10",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        str(folder),
    ]
    atheris.Setup(arguments, TARGETS[name].survives)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
