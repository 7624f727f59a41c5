"""Operations of an operator on organisations and keys, under dual control."""
