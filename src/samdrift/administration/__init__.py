"""What an operator does with organisations and keys, under dual control."""
