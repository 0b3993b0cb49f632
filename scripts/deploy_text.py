"""What the files of deploy/ say, held against one another and against the program.

`check(program, work)` looks at the alerts, the dashboard and README.md, `check_metrics` at what a
service serves; `faults` are told as they are found, and counted.
"""

import json
import pathlib
import re
import shlex
import subprocess

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent.parent / "deploy"

# Metrics that the service does not serve yet, and commands that do not exist yet.
EXPECTED = set()
# What Prometheus makes itself, and words of its language.
OWN = {"up", "ALERTS"}
WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "unless", "offset"}

faults = []


def fault(text):
    faults.append(text)
    print(text)


def expect(is_there, name, text):
    """What is not there is a fault, unless it is expected; and so is what is expected and there."""
    if not is_there and name not in EXPECTED:
        fault(text)
    if is_there and name in EXPECTED:
        fault(f"{name} is there now: take it out of EXPECTED in scripts/deploy.py")


def check(program, work):
    check_dashboard(work)
    check_readme(program)


# What is asked of Prometheus.


def queries():
    """Every query of alerts and panels, with its place."""
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    board = json.loads((DEPLOY / "grafana/setpoint.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            series = re.sub(r"label_values\((.*), \w+\)", r"\1", variable["definition"])
            yield variable["name"], series


def metrics_of(query):
    plain = re.sub(r'"[^"]*"', "", query)
    plain = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", plain)
    plain = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", plain)
    names = re.findall(r"\b[a-zA-Z_][a-zA-Z0-9_:]*\b(?!\s*\()", plain)
    return {name for name in names if name not in WORDS | OWN and not re.match(r"^e\d", name)}


def check_dashboard(work):
    board = json.loads((DEPLOY / "grafana/setpoint.json").read_text())
    ids = [panel["id"] for panel in board["panels"]]
    if len(ids) != len(set(ids)):
        fault("two panels have the same id")
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        if taken & cells or place["x"] + place["w"] > 24:
            fault(f"the panel `{panel['title']}` lies on another, or beyond the edge")
        taken |= cells
        for part in [panel, *panel.get("targets", [])]:
            if panel["type"] != "row" and part["datasource"]["uid"] != "${datasource}":
                fault(f"the panel `{panel['title']}` names a data source of its own")
    # Whether each is a query is for promtool to say.
    rules = [
        {"record": f"query:{number}", "expr": re.sub(r"\$__rate_interval", "5m", query)}
        for number, (_, query) in enumerate(queries())
    ]
    file = work / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    said = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
    if said.returncode:
        fault(f"a query is none: {said.stdout}{said.stderr}")


def check_metrics(text):
    served = set(re.findall(r"^([a-zA-Z_]\w*)", text, re.MULTILINE))
    for place, query in queries():
        for name in metrics_of(query):
            expect(name in served, name, f"`{place}` asks for {name}, which is not served")


# What is said in README.md.


def check_readme(program):
    text = (DEPLOY / "README.md").read_text()
    titles = re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", it.lower()).replace(" ", "-") for it in titles}
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            file, anchor = rule["annotations"]["runbook"].split("#")
            if file != "deploy/README.md" or anchor not in anchors:
                fault(f"{rule['alert']} leads to #{anchor}, which is no section")
            if rule["alert"] not in text:
                fault(f"README.md does not tell of {rule['alert']}")
    tests = [DEPLOY / "prometheus" / it for it in ("alerts_test.yml", "alerts_nights_test.yml")]
    tested = [yaml.safe_load(it.read_text())["tests"] for it in tests]
    cases = [case for test in sum(tested, []) for case in test["alert_rule_test"]]
    for alert in re.findall(r"alert: (\w+)", (DEPLOY / "prometheus/alerts.yml").read_text()):
        fires = {bool(it["exp_alerts"]) for it in cases if it["alertname"] == alert}
        if fires != {True, False}:
            fault(f"{alert} needs a test in which it fires, and one in which it is silent")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        if not (DEPLOY / link).exists():
            fault(f"README.md leads to {link}, which is not there")
    blocks = "\n".join(re.findall(r"(?ms)^```sh\n(.*?)^```", text))
    blocks = blocks.replace("\\\n", " ")
    commands = set(re.findall(r"(?m)^(?:.*run --rm )?setpoint ([a-z][^|;&>)#\n]*)", blocks))
    commands |= set(re.findall(r"`setpoint ([a-z][^`]*)`", text))
    for command in sorted(commands):
        check_command(program, shlex.split(command))


def check_command(program, words):
    """Asks the program for help about the command, and looks for its flags there."""
    path, known = [], help_of(program, [])
    for word in words:
        if not re.search(rf"^  {re.escape(word)}  ", known.partition("Commands:")[2], re.MULTILINE):
            break
        path.append(word)
        known = help_of(program, path)
    shown = "setpoint " + " ".join(words)
    name = next((it for it in EXPECTED if shown.startswith(it)), shown)
    usages = re.findall(r"(?m)^(?:Usage:|      ) (setpoint.*)$", known)
    wants = not path or (usages and all("<COMMAND>" in it for it in usages))
    unknown = [it for it in words if it.startswith("--") and it.split("=")[0] not in known]
    expect(not wants and not unknown, name, f"README.md says `{shown}`, which there is not")


def help_of(program, path):
    return subprocess.run([program, *path, "--help"], capture_output=True, text=True).stdout
