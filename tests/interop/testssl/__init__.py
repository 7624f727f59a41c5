"""The doctor's rules for TLS against testssl.sh, as Debian has it, on listeners that break one rule each."""
