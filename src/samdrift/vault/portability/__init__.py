"""A vault that leaves for another installation, or arrives from one."""
