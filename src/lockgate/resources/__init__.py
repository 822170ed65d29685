"""Manifests as typed values, each knowing its file and line."""
