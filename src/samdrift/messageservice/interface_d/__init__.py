"""Interface D: DIGG's API MT/MK (api-mt-mk), and what is offered beyond it (docs/interface-d.md)."""
