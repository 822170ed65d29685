"""Findings in the formats that other programs read: SARIF, GitHub's annotations, JUnit, and the baseline."""
