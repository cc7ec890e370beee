"""What people mean, by rules: stance, schedules, references, slots, intents. Pure."""
