"""`edt selftest`: noise, draws and engines on this machine, against known answers, exact distributions, each other."""
