"""The actors, each named after the component that it stands for."""
