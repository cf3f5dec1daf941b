"""The alerts of deploy/prometheus: about metrics that exist, each with a test that Prometheus' own tool runs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from rustok.telemetry import metrics

DIRECTORY = Path(__file__).parents[2] / "deploy" / "prometheus"
INSTALL = "promtool is missing: apt-get install prometheus (Debian, Ubuntu), or brew install prometheus"


def rules() -> str:
    return (DIRECTORY / "rules.yml").read_text(encoding="utf-8")


def declared() -> set[str]:
    """Return the names that samples of our metrics have."""
    families = [
        family
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    ]
    return {f"{family.name}_total" if family.type == "counter" else family.name for family in families}


def test_alerts_are_about_metrics_that_exist() -> None:
    """An alert on a name that nobody serves never comes."""
    expressions = re.findall(r"expr: (?:\|\n)?(.*?)\n +(?:for|labels):", rules(), re.DOTALL)
    used = {name for expression in expressions for name in re.findall(r"rustok_\w+", expression)}

    assert len(expressions) == rules().count("- alert:")
    assert used
    assert used <= declared()


def test_each_alert_is_tested() -> None:
    """rules_test.yml says of each one when it must come."""
    alerts = set(re.findall(r"- alert: (\w+)", rules()))

    tested = re.findall(
        r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels",
        (DIRECTORY / "rules_test.yml").read_text(encoding="utf-8"),
    )

    assert alerts == set(tested)


@pytest.mark.deep
@pytest.mark.parametrize("arguments", [("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")])
def test_prometheus_takes_the_rules_and_they_do_what_their_tests_say(arguments: tuple[str, ...]) -> None:
    """Prometheus judges its own rules. Its tool is promtool, which needs no server."""
    promtool = shutil.which("promtool")
    assert promtool, INSTALL

    finished = subprocess.run(  # noqa: S603 - the tool is the machine's own
        [promtool, *arguments], cwd=DIRECTORY, capture_output=True, text=True, check=False
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
