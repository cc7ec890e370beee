"""What every room stands on: settings, errors, actor, clock, encryption."""
