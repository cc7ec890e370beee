"""JSON and text at web addresses that data name."""
