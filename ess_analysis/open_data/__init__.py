"""Any body's published table, read without one wrong euro: understood with certainty, or refused with a reason."""

from __future__ import annotations

from ess_analysis.open_data.reading import command, read, summary

__all__ = ["command", "read", "summary"]
