"""The configuration files of a checkout."""

from mentor.conf_dir import conf_dir


def test_the_folder_holds_the_groups():
    assert (conf_dir() / "config.yaml").is_file() and (conf_dir() / "reward" / "flexible.yaml").is_file()
    assert conf_dir().parent.joinpath("pyproject.toml").is_file()
