"""Static list schedulers: whole instances in, schedules out; one module each."""
