"""The doctor's TLS rules compared with Debian's testssl.sh, on listeners that break one rule each."""
