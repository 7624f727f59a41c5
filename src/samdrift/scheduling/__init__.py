"""Fair queues, limits and wake-ups within the process."""
