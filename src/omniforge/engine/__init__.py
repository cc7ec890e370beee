"""The engine: runs immutable plans durably. It knows steps, never agents or tickets."""
