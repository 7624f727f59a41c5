"""Interface D: DIGG's API MT/MK (api-mt-mk), and our additions to it (docs/interface-d.md)."""
