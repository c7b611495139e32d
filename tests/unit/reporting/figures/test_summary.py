"""The first picture, and the map of gains."""

from mentor.reporting.figures.summary import _shade, summary_figures
from mentor.reporting.read.records import Report
from tests.fixtures.report_records import make_method, make_pair


def test_methods_in_and_out_of_domain_in_one_picture() -> None:
    means = [make_method(name, domain=domain) for name in ("base", "rl-x") for domain in ("id", "ood")]
    gain = make_pair("rl-x", "base", "better")
    [figure] = summary_figures(Report("t", "r", [], [], [], means=means, gains=[gain]))
    assert (figure.name, figure.chapter, figure.main) == ("summary", "verdict", True)
    for text in ("base", "rl-x", "In domain", "Out of domain"):
        assert f">{text}<" in figure.svg
    assert "Domain unknown" not in figure.svg
    assert summary_figures(Report("t", "r", [], [], [])) == []


def test_several_configurations_have_a_map_of_gains() -> None:
    names = [f"{base} · {method}" for base in ("shy", "capable") for method in ("rl-sparse", "rl-x")]
    gains = [
        make_pair("shy · rl-x", "shy · rl-sparse", "better"),
        make_pair("capable · rl-x", "capable · rl-sparse", "not significant", difference=-0.01),
    ]
    report = Report("t", "r", [], [], [], means=[make_method(name) for name in names], gains=gains)
    summary, chart = summary_figures(report)
    assert (summary.name, chart.name) == ("summary", "map-id")
    assert chart.title == "In domain: gain over rl-sparse in points, sampled"
    for text in ("+25.0 ▲", "[+6.2, +43.8]", "−1.0", "shy", "capable", "rl-x"):
        assert text in chart.svg


def test_a_gain_is_green_a_loss_red_and_text_reads_on_both() -> None:
    assert _shade(0.3) == ("#1a6b45", "#ffffff") and _shade(-0.9) == ("#a3322c", "#ffffff")
    assert _shade(0.0) == ("#f0f0ec", "#000000")
