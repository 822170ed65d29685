"""Controllers, each named after the component that it replaces."""
