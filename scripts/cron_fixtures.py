#!/usr/bin/env python3
"""Writes fixtures/cron/days.txt: the times of jobs around the days on which clocks change.

They are those of cronsim, which does as Debian's cron does: `pip install cronsim==2.8 tzdata`.
"""

import datetime
import pathlib
import zoneinfo

from cronsim import CronSim

UTC = datetime.timezone.utc

# A zone with the two days of 2026 on which its clocks change: at 2, at 2, by half an hour, and at
# midnight.
ZONES = {
    "Europe/Berlin": ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "America/Santiago": ["2026-04-05", "2026-09-06"],
}

# How many hours before and after the start of such a day are looked at.
LONG = (-24, 48)
SHORT = (-2, 5)

CRONS = {
    "* * * * *": SHORT,
    "*/15 * * * *": LONG,
    "7,37 * * * *": LONG,
    "0 * * * *": LONG,
    "30 */2 * * *": LONG,
    "0 0 * * *": LONG,
    "30 0 * * *": LONG,
    "45 1 * * *": LONG,
    "0 2 * * *": LONG,
    "15 2 * * *": LONG,
    "30 2 * * *": LONG,
    "0 3 * * *": LONG,
    "20 1-3 * * *": LONG,
    "*/20 2 * * *": LONG,
    "30 1,2 * * 0": LONG,
    "0 9 1 * 1": (-24 * 40, 24 * 40),
    "0 9 29 2 *": (0, 24 * 366 * 4),
}


def main():
    lines = []
    for name, days in ZONES.items():
        zone = zoneinfo.ZoneInfo(name)
        for day in days:
            midnight = datetime.datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(UTC)
            for cron, hours in CRONS.items():
                start, end = (midnight + datetime.timedelta(hours=it) for it in hours)
                times = []
                for time in CronSim(cron, start.astimezone(zone)):
                    time = time.astimezone(UTC)
                    if time > end:
                        break
                    times.append(f"{time:%Y-%m-%dT%H:%M}")
                fields = [name, cron, f"{start:%Y-%m-%dT%H:%M}", f"{end:%Y-%m-%dT%H:%M}"]
                lines.append("|".join([*fields, " ".join(times)]))
    target = pathlib.Path(__file__).parent.parent / "fixtures/cron/days.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n")


main()
