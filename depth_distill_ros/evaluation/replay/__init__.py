"""`d3epth replay`: the node's own path over a bag, offline, measured against depth in the bag.

`inputs.py` reads images with the truth and the pose of their moments; `run.py` takes each through
the node's pipeline and `measure.py` scores it; `journal.py` and `output_bag.py` keep what came out,
so that a run can be cut off anywhere; `review.py` goes over it once more for what only the whole
run tells; `report.py` writes it up. `live.py` does the same on a running graph.
"""
