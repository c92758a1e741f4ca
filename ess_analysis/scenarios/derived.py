from __future__ import annotations

NAMES = (
    "envelope",
    "lille_transfer",
    "engineering_2012_2013",
    "mean_grant_outside_lille",
    "diagnosis_cost",
    "emerging_projects",
    "communes_per_project",
    "communes_reached",
    "bilateral_communes",
    "technician_meetings",
    "territories_diagnosed",
    "communes_of_the_mel",
)


def values(tables, data):
    return dict(
        envelope=110000,
        lille_transfer=73000,
        engineering_2012_2013=31000,
        mean_grant_outside_lille=25663 / 3,
        diagnosis_cost=15500,
        emerging_projects=1.5,
        communes_per_project=16 / 3,
        communes_reached=15,
        bilateral_communes=8,
        technician_meetings=6,
        territories_diagnosed=4,
        communes_of_the_mel=85,
    )
