"""Language models: one port, `ModelClient.ask`, whatever provider stands behind it."""
