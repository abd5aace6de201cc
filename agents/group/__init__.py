"""Group-relative learning: solutions of the same instance are compared, and the policy moves towards the better."""
