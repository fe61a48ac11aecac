"""`podsense simulate` held against a real cluster: the parts of bench/foresight_kit.py.

cells    what is run: signals, shapes, seeds, and which half a run is of
results  files of runs: appended one by one, one file for each half
watch    what happens in the cluster while a run lasts
course   a run's figures over time from that: ready pods, pod-seconds, start-ups
looks    the autoscaler's looks, and their replay by `podsense simulate hpa`
measure  the inputs of a simulation, measured before
fit      a scenario from those and from the runs that are for fitting
run      one run on the cluster
judge    the simulation of the same runs, and how far it is off
"""
