"""The place of the configuration files: `mentor/conf` in a wheel, `conf/` at the top of a checkout."""

from pathlib import Path


def conf_dir() -> Path:
    """Return the folder of the Hydra groups."""
    package = Path(__file__).parent
    shipped = package / "conf"
    return shipped if shipped.is_dir() else package.parent / "conf"
