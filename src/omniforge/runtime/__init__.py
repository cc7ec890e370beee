"""What a step does: handlers of the step kinds, the tools they may call, the policy in front of them."""
